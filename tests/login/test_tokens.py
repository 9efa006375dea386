"""What a login gives: never a policy that its role does not name, and never longer than role and mount allow."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import AuthenticationFailed, InvalidRequest
from kms_actors.login.outcome import Outcome
from kms_actors.login.parameters import TokenParameters
from kms_actors.login.tokens import Given, require_address, token_of
from kms_actors.mounts import Mount, MountConfig

MOUNT = Mount("auth/team/apps/", "approle", 7, "u", "a")
NAMES = st.text("abAB é", max_size=3) | st.sampled_from(["root", "default", "Root", " root "])
SECONDS = st.integers(0, 10_000_000)


def given_by(parameters: TokenParameters, config: MountConfig | None = None, **outcome: Any) -> Given:
    mount = msgspec.structs.replace(MOUNT, config=config or MountConfig())
    made = Outcome(alias="x", parameters=parameters, **outcome)
    return token_of(made, mount, path="auth/team/apps/login", client_ip="10.0.0.1", entity_id="e")


@given(st.lists(NAMES, max_size=5), st.lists(NAMES, max_size=3), st.booleans())
def test_no_login_gives_a_policy_that_the_role_does_not_name(
    of_role: list[str], of_method: list[str], no_default: bool
) -> None:
    parameters = TokenParameters(policies=tuple(of_role), no_default_policy=no_default)
    named = {name.strip().lower() for name in (*of_role, *of_method)} - {""}
    if "root" in named:
        with pytest.raises(InvalidRequest, match="auth methods cannot create root tokens"):
            given_by(parameters, policies=tuple(of_method))
        return
    policies = given_by(parameters, policies=tuple(of_method)).spec.policies
    assert set(policies) == named | (set() if no_default else {"default"})
    assert list(policies) == sorted(set(policies))


@given(
    st.builds(
        TokenParameters,
        ttl=SECONDS,
        max_ttl=SECONDS,
        explicit_max_ttl=SECONDS,
        period=SECONDS,
        type=st.sampled_from(["default", "service", "batch"]),
    ),
    st.builds(
        MountConfig,
        default_lease_ttl=SECONDS,
        max_lease_ttl=SECONDS,
        token_type=st.sampled_from(["", "default-service", "default-batch", "service", "batch"]),
    ),
)
def test_no_token_lives_longer_than_role_and_mount_allow(parameters: TokenParameters, config: MountConfig) -> None:
    try:
        spec = given_by(parameters, config).spec
    except InvalidRequest:
        assert parameters.period
        return
    for most in (parameters.max_ttl, parameters.explicit_max_ttl, config.max_lease_ttl or 32 * 86_400):
        assert not most or 0 < spec.ttl <= most
    assert not (spec.batch and (spec.period or spec.renewable))
    assert (spec.mount, spec.entity_id, spec.line) == (7, "e", ())


def test_a_batch_token_that_could_not_keep_its_bound_is_not_given() -> None:
    for parameters in (TokenParameters(num_uses=5), TokenParameters(period=5)):
        for kind in ("batch", "default-batch"):
            with pytest.raises(InvalidRequest, match="the mount gives batch tokens"):
                given_by(parameters, MountConfig(token_type=kind))
        assert not given_by(parameters, MountConfig(token_type="service")).spec.batch


def test_a_token_is_shown_by_the_path_of_its_mount() -> None:
    assert given_by(TokenParameters()).spec.display_name == "team-apps"
    assert given_by(TokenParameters(), display_name="ann").spec.display_name == "team-apps-ann"


def test_a_token_is_bound_to_addresses() -> None:
    parameters = TokenParameters(bound_cidrs=("10.0.0.0/8",))
    assert given_by(parameters).spec.bound_cidrs == ("10.0.0.0/8",)
    assert given_by(msgspec.structs.replace(parameters, strictly_bind_ip=True)).spec.bound_cidrs == ("10.0.0.1",)
    require_address(parameters, "10.0.0.1")
    require_address(TokenParameters(), "")
    for address in ("11.0.0.1", "", "x"):
        with pytest.raises(AuthenticationFailed):
            require_address(parameters, address)
