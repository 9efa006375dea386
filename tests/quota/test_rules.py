"""Which quota holds for a request, and which there may be."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.mounts import Mount, MountTable
from kms_actors.quota.limiter import Limiter, limiter
from kms_actors.quota.records import QuotaConfig, Quotas, RateLimit
from kms_actors.quota.rules import MOST_RULES, RateTable, added, check, placed, whole_path

SECRET = Mount("secret/", "kv", 1, "u1", "kv_1", "", {"version": "2"})
DEEP = Mount("team/kv/", "kv", 3, "u3", "kv_3")
APPROLE = Mount("auth/approle/", "approle", 4, "u4", "auth_approle_4")
USERPASS = Mount("auth/users/", "userpass", 5, "u5", "auth_userpass_5")
MOUNTS = MountTable([SECRET, DEEP, APPROLE, USERPASS])


def rule(name: str, path: str = "", role: str = "", rate: float = 1.0) -> RateLimit:
    return placed(RateLimit(name, rate, role=role), path, MOUNTS)


def table(*rules: RateLimit, mounts: MountTable = MOUNTS) -> RateTable:
    return RateTable(rules, mounts)


def found(known: RateTable, path: str, mount: str = "", role: str = "") -> str:
    one = known.find(path, mount, role)
    return "" if one is None else one.name


def test_the_most_special_quota_holds_alone() -> None:
    known = table(
        rule("whole"),
        rule("mount", "secret/"),
        rule("short", "secret/data/a*"),
        rule("long", "secret/data/ab*"),
        rule("exact", "secret/data/abc"),
        rule("login", "auth/approle/login"),
        rule("logins", "auth/approle/"),
        rule("role", "auth/approle/", "App"),
        rule("tokens", "auth/token/"),
    )
    assert found(known, "secret/config", "secret/") == "mount"
    assert found(known, "secret/data/a", "secret/") == "short"
    assert found(known, "secret/data/abd", "secret/") == "long"
    assert found(known, "secret/data/abc", "secret/") == "exact"
    assert found(known, "secret/data/abc/d", "secret/") == "long"
    assert found(known, "sys/mounts") == "whole"
    assert found(known, "auth/token/create") == "tokens"
    assert found(known, "auth/approle/login", "auth/approle/") == "login"
    assert found(known, "auth/approle/login", "auth/approle/", "app") == "role"
    assert found(known, "auth/approle/login", "auth/approle/", "other") == "login"
    assert found(known, "auth/approle/role", "auth/approle/") == "logins"
    assert found(table(), "sys/mounts") == ""


@given(st.text("ab/", max_size=12), st.sets(st.text("ab/", min_size=1, max_size=6), max_size=8))
def test_of_several_beginnings_the_longest_holds(path: str, beginnings: set[str]) -> None:
    rules = [
        rule(f"{number}", f"secret/{beginning.strip('/')}*", rate=number + 1.0)
        for number, beginning in enumerate(sorted({b.strip("/") for b in beginnings}))
    ]
    whole = f"secret/{path}"
    fitting = [each for each in rules if whole.startswith(f"secret/{each.path[:-1]}")]
    wanted = max(fitting, key=lambda each: len(each.path), default=None)
    assert table(*rules).find(whole, "secret/") == wanted


def test_a_path_may_have_its_last_slash_or_not_and_one_before() -> None:
    assert [whole_path(rule("a", path), MOUNTS) for path in ("secret", "secret/", "/secret/", "team/kv")] == [
        "secret/",
        "secret/",
        "secret/",
        "team/kv/",
    ]
    assert whole_path(rule("a", "sys/mounts"), MOUNTS) == "sys/mounts"
    assert whole_path(rule("a", "cubbyhole"), MOUNTS) == "cubbyhole/"


@pytest.mark.parametrize(
    ("path", "role", "text"),
    [
        ("nomount/", "", 'invalid mount path "nomount/"'),
        ("", "r", "is not a valid auth method"),
        ("secret/", "r", 'Mount path "secret/" is not a valid auth method and therefore unsuitable'),
        ("auth/approle/login", "r", "Quotas cannot contain both a path suffix and a role."),
        ("auth/users/", "r", 'Mount path "auth/users/" does not support use with role-based quotas'),
        ("secret/" + "x" * 600, "", "512 characters"),
    ],
)
def test_a_place_that_no_quota_may_have_is_refused_with_a_reason(path: str, role: str, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rule("a", path, role)
    assert text in str(refused.value)


@pytest.mark.parametrize(
    "wrong",
    [{"rate": 0.0}, {"rate": -1.0}, {"rate": 1e12}, {"interval": 0}, {"block_interval": -1}, {"group_by": "x"}],
)
def test_numbers_that_no_quota_may_have_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        check(msgspec.structs.replace(RateLimit("a", 1.0), **wrong))


def test_no_two_quotas_have_one_place_and_there_are_not_too_many() -> None:
    rules = added((), rule("a", "secret/"))
    with pytest.raises(InvalidRequest, match='exists under the name "a"'):
        added(rules, rule("b", "secret"))
    assert [each.rate for each in added(rules, rule("a", "secret", rate=9.0))] == [9.0]
    many: tuple[RateLimit, ...] = ()
    for number in range(MOST_RULES):
        many = added(many, rule(f"n{number}", f"secret/data/{number}"))
    with pytest.raises(InvalidRequest, match=str(MOST_RULES)):
        added(many, rule("more"))


def test_a_quota_goes_along_with_its_mount_and_ends_with_it() -> None:
    one = rule("a", "secret/data/x")
    moved = MountTable([msgspec.structs.replace(SECRET, path="moved/")])
    assert whole_path(one, moved) == "moved/data/x"
    assert found(table(one, mounts=moved), "moved/data/x", "moved/") == "a"
    again = MountTable([msgspec.structs.replace(SECRET, number=9)])
    assert whole_path(one, again) is None
    assert found(table(one, mounts=again), "secret/data/x", "secret/") == ""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def made(given: list[RateLimit], own: Quotas, before: Limiter | None = None) -> Limiter | None:
    return limiter(given, own, MOUNTS, workers=1, before=before)


def test_there_is_nothing_to_decide_without_quotas() -> None:
    assert made([], Quotas()) is None
    assert made([], Quotas((msgspec.structs.replace(rule("a", "secret/"), mount=77),))) is None


def test_what_the_vault_refuses_counts_for_nothing_in_what_the_operator_gave() -> None:
    known = made([RateLimit("g", 3.0, interval=3600)], Quotas((rule("own", "secret/"),)))
    assert known is not None
    assert [known.admit("secret/data/a", "secret/", "x") is not None for _ in range(5)]
    verdicts = [known.admit("sys/mounts", "", "x") for _ in range(3)]
    assert [verdict is not None and verdict.allowed for verdict in verdicts] == [True, True, False]
    last = verdicts[-1]
    assert last is not None
    assert last.given


def test_a_vault_cannot_exempt_itself_from_what_the_operator_gave() -> None:
    config = QuotaConfig(exempt_paths=("secret/data/x", "secret/open/*"))
    known = made([], Quotas((rule("own"),), config))
    assert known is not None
    assert [known.admit(path, "secret/", "x") for path in ("secret/data/x", "secret/open/y")] == [None, None]
    known = made([RateLimit("g", 1.0, interval=3600)], Quotas((rule("own"),), config))
    assert known is not None
    verdicts = [known.admit("secret/data/x", "secret/", "x") for _ in range(2)]
    assert [verdict is not None and verdict.allowed for verdict in verdicts] == [True, False]


def test_counts_go_on_for_quotas_that_stay_as_they_were() -> None:
    slow = msgspec.structs.replace(rule("own", "secret/"), interval=3600)
    before = made([], Quotas((slow,)))
    assert before is not None
    assert before.admit("secret/a", "secret/", "x") is not None
    after = made([], Quotas((slow, rule("more", "sys/mounts"))), before)
    assert after is not None
    verdict = after.admit("secret/a", "secret/", "x")
    assert verdict is not None
    assert not verdict.allowed


def test_rules_sort_by_the_length_of_their_beginning() -> None:
    known = table(*(rule(f"n{length}", "secret/" + "a" * length + "*") for length in (1, 5, 3)))
    assert all(len(one[0]) > len(other[0]) for one, other in pairwise(known._globs))
