"""Nulls and names of nothing, where what is there bounds somebody: both servers keep the bound, or refuse them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from uuid import uuid4

import pytest

from tests.differential.pair import Answer, Pair, Side

#: What clients send of a field of which they have nothing to say.
NOTHINGS: Final[tuple[Any, ...]] = (None, "", [], {}, [""], [None], ",", [" "], 0, False)


class Kept(NamedTuple):
    """Something with bounds: where it is written, what it is at first, what has to be sent each time."""

    path: str
    bounds: dict[str, Any]
    needed: dict[str, Any] = {}  # noqa: RUF012  # read only


_TOKENS: Final = {
    "token_ttl": 70,
    "token_max_ttl": 80,
    "token_explicit_max_ttl": 75,
    "token_period": 60,
    "token_num_uses": 5,
    "token_bound_cidrs": ["10.0.0.0/8"],
}
_SINGLES: Final = {
    "period": "token_period",
    "token-ttl": "token_ttl",
    "token-max-ttl": "token_max_ttl",
    "token-num-uses": "token_num_uses",
    "secret-id-ttl": "secret_id_ttl",
    "secret-id-num-uses": "secret_id_num_uses",
    "secret-id-bound-cidrs": "secret_id_bound_cidrs",
}
_APPROLE: Final = {
    **_TOKENS,
    "secret_id_ttl": 90,
    "secret_id_num_uses": 6,
    "secret_id_bound_cidrs": ["10.0.0.0/8"],
}
KEPT: Final = (
    Kept("{userpass}/users/u", _TOKENS, {"password": "x"}),
    Kept("{approle}/role/u", _APPROLE),
    Kept(
        "{kubernetes}/role/u",
        {"bound_service_account_names": ["a"], "bound_service_account_namespaces": ["b"]},
    ),
    Kept("auth/token/roles/nothing", {name: _TOKENS[name] for name in list(_TOKENS)[2:] if "uses" not in name}),
    Kept("transit/keys/nothing/config", {"auto_rotate_period": 7200, "min_decryption_version": 1}),
)


@pytest.fixture(scope="module")
def mounted(pair: Pair) -> Iterator[dict[str, str]]:
    """Mounts of logins on both, by their types."""
    paths = {kind: f"auth/{kind}-{uuid4().hex[:8]}" for kind in ("userpass", "approle", "kubernetes")}
    for side in pair:
        for kind, path in paths.items():
            assert side("POST", f"sys/{path}", {"type": kind}).status == 204
        assert side("POST", "transit/keys/nothing", {}).status == 200
    yield paths
    for side in pair:
        for path in paths.values():
            side("DELETE", f"sys/{path}")


@pytest.fixture(scope="module", autouse=True)
def gone(pair: Pair) -> Iterator[None]:
    """Leave nothing of this on the reference, which other tests list."""
    yield
    for side in pair:
        for role in ("nothing", "forbidding", "defaulting"):
            side("DELETE", f"auth/token/roles/{role}")
        side("DELETE", "sys/policies/acl/makes-tokens")
        side("POST", "transit/keys/nothing/config", {"deletion_allowed": True})
        side("DELETE", "transit/keys/nothing")


def _seen(side: Side, path: str, names: dict[str, Any]) -> dict[str, Any]:
    """Return what bounds there are; a list without entries is shown in two ways."""
    data = side("GET", path.removesuffix("/config")).data
    return {name: data.get(name) or None for name in names}


def _refused(answer: Answer) -> bool:
    return answer.status >= 400


@pytest.mark.parametrize("kept", KEPT, ids=lambda each: each.path)
def test_what_bounds_is_kept_or_lifted_by_both(pair: Pair, mounted: dict[str, str], kept: Kept) -> None:
    path, found = kept.path.format(**mounted), []
    for name in kept.bounds:
        for nothing in NOTHINGS:
            sent = {**kept.needed, name: nothing}
            told = []
            for side in pair:
                assert not _refused(side("POST", path, {**kept.needed, **kept.bounds}))
                answer = side("POST", path, sent)
                told.append((_refused(answer), _seen(side, path, kept.bounds)))
            if told[0] != told[1]:
                found.append(f"{sent}\n   ours   {told[0]}\n   theirs {told[1]}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("single", _SINGLES)
def test_a_bound_with_a_path_of_its_own_is_kept_or_lifted_by_both(
    pair: Pair, mounted: dict[str, str], single: str
) -> None:
    role, name = f"{mounted['approle']}/role/single", _SINGLES[single]
    for nothing in NOTHINGS:
        told = []
        for side in pair:
            assert not _refused(side("POST", role, _APPROLE))
            answer = side("POST", f"{role}/{single}", {name: nothing})
            told.append((_refused(answer), _seen(side, role, _APPROLE)))
        assert told[0] == told[1], nothing


@pytest.mark.parametrize("field", ["cidr_list", "token_bound_cidrs"])
def test_no_secret_id_is_unbound_by_names_of_nothing(pair: Pair, mounted: dict[str, str], field: str) -> None:
    role = f"{mounted['approle']}/role/secrets"
    for side in pair:
        assert side("POST", role, {}).status == 204
        for nothing in ([""], [None], ",", "10.0.0.0/8,"):
            assert _refused(side("POST", f"{role}/secret-id", {field: nothing})), nothing


@pytest.mark.parametrize("no_default", [False, True])
@pytest.mark.parametrize("asked", [None, "", [], [""], [None], [" ", ""], " "])
def test_names_of_nothing_give_no_policies_of_the_maker(pair: Pair, asked: Any, no_default: bool) -> None:
    told = []
    for side in pair:
        made = side("POST", "auth/token/create", {"policies": asked, "no_default_policy": no_default})
        told.append(made.auth["policies"])
    assert told[0] == told[1]
    assert (told[0] == ["root"]) is (not asked)


def test_what_a_role_forbids_is_not_inherited_either(pair: Pair) -> None:
    role = "auth/token/roles/forbidding"
    for side in pair:
        for forbidden in ({"disallowed_policies": "root"}, {"disallowed_policies_glob": "ro*"}):
            assert side("POST", role, {"disallowed_policies": "", "disallowed_policies_glob": ""}).status == 204
            assert side("POST", "auth/token/create/forbidding", {}).auth["policies"] == ["root"]
            assert side("POST", role, forbidden).status == 204
            assert side("POST", "auth/token/create/forbidding", {}).status == 400


#: What a role says, and what is asked for: policies, and whether without `default`.
_ROLES: Final[tuple[dict[str, Any] | None, ...]] = (
    None,
    {},
    {"disallowed_policies": "default"},
    {"disallowed_policies_glob": "d*"},
    {"disallowed_policies": "x"},
    {"allowed_policies": "a"},
    {"allowed_policies": "a", "disallowed_policies": "default"},
    {"allowed_policies": "a,default"},
    {"allowed_policies_glob": "*"},
)
_ASKED: Final[tuple[list[str], ...]] = ([], ["a"], ["a", "default"], ["default"], ["x"])


@pytest.mark.parametrize("role", _ROLES, ids=str)
def test_both_say_alike_who_has_the_default_policy(pair: Pair, role: dict[str, Any] | None) -> None:
    path, found = "auth/token/create", []
    if role is not None:
        path += "/defaulting"
        for side in pair:
            side("DELETE", "auth/token/roles/defaulting")
            assert side("POST", "auth/token/roles/defaulting", role).status == 204
    text = 'path "auth/token/*" { capabilities = ["create", "update"] }'
    for side in pair:
        assert side("POST", "sys/policies/acl/makes-tokens", {"policy": text}).status == 204
    made = [
        side("POST", "auth/token/create", {"policies": ["makes-tokens", "a"]}).auth["client_token"] for side in pair
    ]
    for own in (False, True):
        bearers = [Side(side.address, made[n] if own else side.token, {}) for n, side in enumerate(pair)]
        for asked in _ASKED:
            for no_default in (False, True):
                answers = [
                    side("POST", path, {"policies": asked, "no_default_policy": no_default}) for side in bearers
                ]
                told = [each.auth["policies"] if each.status == 200 else each.status for each in answers]
                if told[0] != told[1]:
                    found.append((own, asked, no_default, *told))
        for side in bearers:
            side.close()
    assert found == []


def test_a_policy_with_null_for_its_end_has_none(pair: Pair) -> None:
    for side in pair:
        for name in ("expiration", "ttl"):
            answer = side("POST", "sys/policies/acl/nothing", {"policy": 'path "x" { }', name: None})
            assert answer.status == 204
            assert "expiration" not in side("GET", "sys/policies/acl/nothing").data
        assert side("DELETE", "sys/policies/acl/nothing").status == 204


@pytest.mark.parametrize(("text", "number"), [("0x10", 16), ("010", 8), ("0b11", 3), ("0o7", 7), ("1_000", 1000)])
def test_numbers_in_texts_are_read_in_the_same_base(
    pair: Pair, mounted: dict[str, str], text: str, number: int
) -> None:
    for side in pair:
        assert (
            side("POST", f"{mounted['approle']}/role/based", {"token_num_uses": text, "token_ttl": "010"}).status
            == 204
        )
        data = side("GET", f"{mounted['approle']}/role/based").data
        assert (data["token_num_uses"], data["token_ttl"]) == (number, 10)


def test_a_mount_is_not_moved_to_a_path_with_a_space_at_its_end(pair: Pair) -> None:
    for side in pair:
        assert side("POST", "sys/mounts/spaced", {"type": "kv"}).status == 204
        for sent in ({"from": "spaced", "to": " other"}, {"from": " spaced", "to": "other"}):
            assert side("POST", "sys/remount", sent).status == 400
        assert side("DELETE", "sys/mounts/spaced").status == 204


def test_a_mount_with_a_bound_below_a_second_gives_no_long_tokens(pair: Pair, mounted: dict[str, str]) -> None:
    """They live for no time there, and for a second here."""
    path = mounted["userpass"]
    for side in pair:
        assert side("POST", f"{path}/users/brief", {"password": "x"}).status == 204
        assert side("POST", f"sys/{path}/tune", {"max_lease_ttl": "500ms"}).status == 204
        assert side("POST", f"{path}/login/brief", {"password": "x"}).auth["lease_duration"] <= 1
        assert side("POST", f"sys/{path}/tune", {"max_lease_ttl": 0}).status == 204
