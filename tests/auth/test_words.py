"""A token tells in words what it is: kind, place, owner, end, and what narrows it."""

from __future__ import annotations

import contextlib

import biscuit_auth
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.auth import words
from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.auth.build import Privilege, attenuate
from kms_actors.auth.checks import read_checks
from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from tests.auth.mint import NAMESPACE, NOW, VAULT, Mint

MINT = Mint.new()
AUTHENTICATOR = BiscuitAuthenticator([MINT.keys.public], "toto", NAMESPACE)


def shown(token: str) -> str:
    return AUTHENTICATOR.authenticate(token, NOW).display_name


def narrowings(token: str) -> list[str]:
    _, checks = read_checks(biscuit_auth.UnverifiedBiscuit.from_base64(token))
    return [words.narrowing(check) for check in checks]


def test_an_end_and_what_narrows_are_told() -> None:
    token = attenuate(
        MINT.token(VAULT, Privilege.TENANT),
        now=NOW,
        ttl=60,
        paths=["secret/data/app/*", "secret/+/a.b"],
        operations=[Capability.READ, Capability.LIST],
    )
    assert shown(token) == (
        f"tenant of {VAULT}, owner orga_1, until 2027-01-15T08:01:00Z, "
        "only path secret/data/app/* or secret/+/a.b, only operation read or list"
    )


def test_kinds_look_different() -> None:
    kinds = {
        shown(MINT.token(NAMESPACE if privilege is Privilege.CLUSTER_OPERATOR else VAULT, privilege))
        for privilege in Privilege
    }
    assert len(kinds) == 3


@given(st.lists(st.text("abc.+/()[]\\$^é -", min_size=1, max_size=9), min_size=1, max_size=3), st.booleans())
def test_a_path_is_told_as_it_was_given(paths: list[str], star: bool) -> None:
    given_paths = [f"x/{path.strip('/').replace('//', '/')}y{'*' if star else ''}" for path in paths]
    with contextlib.suppress(InvalidRequest):  # a pattern that is refused is told nowhere
        token = attenuate(MINT.token(), now=NOW, paths=given_paths)
        assert narrowings(token) == [f"path {' or '.join(given_paths)}"]


@pytest.mark.parametrize(
    "check",
    [
        'check if path($p), $p.contains("a")',
        'check if path("a"), operation("read")',
        'check if path("a") or operation("read")',
        "check if true",
        'reject if operation("read")',
        'check all path($p), $p == "a"',
    ],
)
def test_another_check_is_told_as_it_is_written(check: str) -> None:
    assert narrowings(MINT.narrowed(MINT.token(), f"{check};")) == [check]


def test_a_text_is_bounded_and_does_not_steer_a_terminal() -> None:
    token = attenuate(MINT.token(), now=NOW, paths=[f"secret/data/{n}/{'x' * 40}/*" for n in range(20)])
    assert len(shown(token)) == 400
    assert shown(token).endswith("…")
    assert "\x1b" not in words.summary(AUTHENTICATOR.authenticate(token, NOW).right, VAULT, "a\x1b[2J", None, [])
