"""Who is one client, and who is none."""

from __future__ import annotations

from typing import Any

import pytest

from kms_actors.activity.clients import NO_MOUNT, Client, of_biscuit, of_token
from kms_actors.auth.checks import BiscuitPrincipal
from kms_actors.auth.principal import Right
from kms_actors.auth.service_token import RESPONSE_WRAPPING, ServiceToken
from kms_actors.mounts import TOKENS_NUMBER


def token(**given: Any) -> ServiceToken:
    usual: dict[str, Any] = {
        "accessor": "a",
        "right": Right.POLICY,
        "policies": ("app", "default"),
        "display_name": "token",
        "created": 1.0,
        "path": "auth/token/create",
    }
    return ServiceToken(**(usual | given))


def biscuit(right: Right = Right.DATA, owner: str | None = None, policies: tuple[str, ...] = ()) -> BiscuitPrincipal:
    return BiscuitPrincipal(None, "vault_a", right, owner, "s", revocation_ids=("r",), policies=policies)


def test_an_entity_is_one_client_whatever_its_tokens_are() -> None:
    first, second = token(entity_id="e1", mount=7), token(entity_id="e1", mount=7, policies=("other",))
    assert of_token(first) == of_token(second) == Client("e1", True, 7)


def test_tokens_without_an_entity_are_told_apart_by_their_policies_in_any_order() -> None:
    first, second, third = (token(policies=policies) for policies in (("a", "b"), ("b", "a"), ("a",)))
    found = of_token(first)
    assert found == of_token(second)
    assert found is not None
    assert (found.entity, found.mount) == (False, TOKENS_NUMBER)
    assert found != of_token(third)


def test_a_child_came_by_the_mount_of_tokens() -> None:
    found = of_token(token(entity_id="e1", mount=7, line=("parent",)))
    assert found == Client("e1", True, TOKENS_NUMBER)


@pytest.mark.parametrize(
    "none",
    [token(right=Right.ROOT, policies=("root",)), token(policies=(RESPONSE_WRAPPING,)), token(under="biscuit")],
    ids=["root", "wrapping", "of a biscuit"],
)
def test_root_and_wrapping_tokens_and_those_of_biscuits_are_nobodys(none: ServiceToken) -> None:
    assert of_token(none) is None


def test_biscuits_of_one_owner_are_one_client() -> None:
    first, second = biscuit(owner="orga_1"), biscuit(Right.POLICY, "orga_1", ("app",))
    found = of_biscuit(first)
    assert found == of_biscuit(second)
    assert found is not None
    assert (found.entity, found.mount) == (False, NO_MOUNT)
    assert "orga_1" not in found.id
    assert found != of_biscuit(biscuit(owner="orga_2"))


def test_biscuits_without_an_owner_are_told_apart_by_their_policies() -> None:
    assert of_biscuit(biscuit()) == of_biscuit(biscuit())
    assert of_biscuit(biscuit()) != of_biscuit(biscuit(Right.POLICY, policies=("app",)))
    assert of_biscuit(biscuit()) != of_biscuit(biscuit(owner="default"))


@pytest.mark.parametrize("right", [Right.ROOT, Right.OPERATOR])
def test_operators_are_nobody(right: Right) -> None:
    assert of_biscuit(biscuit(right, "orga_1")) is None
