from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from biscuit_auth import Biscuit

from kms_actors.auth import datalog
from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.auth.checks import KEPT_USES, BiscuitPrincipal, read_checks
from kms_actors.auth.principal import Access, Capability
from tests.auth.mint import NOW, VAULT, Mint

Make = Callable[..., Access]


def principal(authenticator: BiscuitAuthenticator, mint: Mint, block: str) -> BiscuitPrincipal:
    return authenticator.authenticate(mint.narrowed(mint.token(), block), NOW)


def test_only_facts_of_short_values_are_kept() -> None:
    short, long = "a" * 256, "a" * 257
    assert datalog.fact("path", short) is datalog.fact("path", short)
    assert datalog.fact("path", long) is not datalog.fact("path", long)
    assert str(datalog.fact("path", long)) == f'path("{long}")'


def test_without_checks_everything_is_allowed_and_nothing_runs(
    authenticator: BiscuitAuthenticator, mint: Mint, access: Make
) -> None:
    bearer = authenticator.authenticate(mint.token(), NOW)
    assert bearer._biscuit is None
    assert bearer.allows(access())
    assert bearer.allows(access(time=NOW + 1e9, path="anything", operation=Capability.SUDO))


@pytest.mark.parametrize(("operator", "last"), [("<", 0), ("<=", 1)])
def test_an_expiry_is_a_comparison_that_agrees_with_datalog(
    authenticator: BiscuitAuthenticator, mint: Mint, access: Make, operator: str, last: int
) -> None:
    end = "2027-01-15T09:00:00Z"  # NOW + 3600
    fast = principal(authenticator, mint, f"check if time($when), $when {operator} {end};")
    slow = principal(authenticator, mint, f'check if time($when), $when {operator} {end}, "a" == "a";')
    assert fast.expires_at == NOW + 3600 + last
    assert (fast._biscuit, slow.expires_at) == (None, None)
    assert slow._biscuit is not None
    for late in (-1, -0.001, 0, 0.5, 0.999, 1, 1.001, 2):
        use = access(time=NOW + 3600 + late)
        assert fast.allows(use) == slow.allows(use) == (late < last)


def test_the_earliest_expiry_counts(authenticator: BiscuitAuthenticator, mint: Mint) -> None:
    token = mint.narrowed(mint.token(ttl=3600), "check if time($t), $t < 2027-01-15T08:10:00Z;")
    token = mint.narrowed(token, "check if time($t), $t < 2027-01-15T08:20:00Z;")
    assert authenticator.authenticate(token, NOW).expires_at == NOW + 600


@pytest.mark.parametrize(
    "block",
    [
        "check if time($t), $t > 2020-01-01T00:00:00Z;",
        "check if time($t), time($u), $t < 2030-01-01T00:00:00Z;",
        "check if time($t), $t < 2030-01-01T00:00:00Z or true;",
        "check all time($t), $t < 2030-01-01T00:00:00Z;",
        "reject if time($t), $t < 2020-01-01T00:00:00Z;",
        "check if time($t), $t < 2030-01-01T00:00:00Z trusting previous;",
        "check if true;",
        'note("a", 1);',
    ],
)
def test_anything_else_goes_to_the_authorizer(
    authenticator: BiscuitAuthenticator, mint: Mint, access: Make, block: str
) -> None:
    bearer = principal(authenticator, mint, block)
    assert bearer._biscuit is not None
    assert bearer.expires_at is None
    assert bearer.allows(access())


def test_a_check_cannot_pose_as_an_expiry(mint: Mint) -> None:
    disguise = "check if time($t), $t < 2030-01-01T00:00:00Z;"
    ends, rest = read_checks(mint.open(mint.narrowed(mint.token(), f'check if path("x\n{disguise}\n");')))
    assert rest
    assert ends  # the line inside the string may only make the token end earlier


FACTS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "operation": ("read", {"operation": Capability.UPDATE}),
    "path": ("secret/data/app/db", {"path": "secret/data/app/dbx"}),
    "mount": ("secret/", {"mount": ""}),
    "method": ("GET", {"method": "POST"}),
    "client_ip": ("192.0.2.7", {"client_ip": "192.0.2.8"}),
    "resource": (VAULT, None),
    "service": ("toto", None),
}


@pytest.mark.parametrize("fact", FACTS)
def test_each_fact_is_supplied(authenticator: BiscuitAuthenticator, mint: Mint, access: Make, fact: str) -> None:
    value, other = FACTS[fact]
    bearer = principal(authenticator, mint, f'check if {fact}("{value}");')
    assert bearer.allows(access())
    assert not principal(authenticator, mint, f'check if {fact}("other");').allows(access())
    if other is not None:
        assert not bearer.allows(access(**other))


def test_every_check_of_every_block_must_hold(authenticator: BiscuitAuthenticator, mint: Mint, access: Make) -> None:
    good, bad = 'check if operation("read");', 'check if operation("list");'
    for blocks in itertools.product((good, bad), repeat=3):
        token = mint.raw(f'resource("{VAULT}"); rights({{,}}); {blocks[1]}', authority=blocks[0])
        token = mint.narrowed(token, blocks[2])
        assert authenticator.authenticate(token, NOW).allows(access()) == (bad not in blocks)


def test_facts_a_holder_adds_do_not_satisfy_earlier_checks(
    authenticator: BiscuitAuthenticator, mint: Mint, access: Make
) -> None:
    token = mint.narrowed(mint.token(), 'check if path("secret/data/one");')
    token = mint.narrowed(token, 'path("secret/data/one");')
    assert not authenticator.authenticate(token, NOW).allows(access())


def test_quotes_in_a_path_are_data(authenticator: BiscuitAuthenticator, mint: Mint, access: Make) -> None:
    bearer = principal(authenticator, mint, 'check if path("secret/data/one");')
    assert not bearer.allows(access(path='x"); path("secret/data/one'))
    assert not bearer.allows(access(path="{value}\n\x00"))


def test_a_check_that_fails_to_run_is_a_refusal(
    authenticator: BiscuitAuthenticator, mint: Mint, access: Make
) -> None:
    bearer = principal(authenticator, mint, "check if time($t), $t + 1 == 9223372036854775807 + 1;")
    assert not bearer.allows(access())


class TestUsesThatAreRemembered:
    """Of tokens whose checks cannot see the time."""

    BLOCK = 'check if path($p), $p.starts_with("secret/data/"); check if operation("read");'

    @pytest.fixture
    def runs(self, monkeypatch: pytest.MonkeyPatch) -> list[Access]:
        """The uses for which checks were run."""
        runs: list[Access] = []
        run = BiscuitPrincipal._run

        def counted(self: BiscuitPrincipal, biscuit: Biscuit, access: Access) -> bool:
            runs.append(access)
            return run(self, biscuit, access)

        monkeypatch.setattr(BiscuitPrincipal, "_run", counted)
        return runs

    def test_are_run_once(
        self, authenticator: BiscuitAuthenticator, mint: Mint, access: Make, runs: list[Access]
    ) -> None:
        bearer = principal(authenticator, mint, self.BLOCK)
        assert all(bearer.allows(access(time=NOW + second)) for second in range(3))
        assert len(runs) == 1

    @pytest.mark.parametrize(
        "other",
        [
            {"operation": Capability.UPDATE},
            {"path": "sys/mounts"},
            {"mount": "other/"},
            {"method": "POST"},
            {"client_ip": "192.0.2.9"},
        ],
    )
    def test_stand_for_no_other(
        self, authenticator: BiscuitAuthenticator, mint: Mint, access: Make, runs: list[Access], other: dict[str, Any]
    ) -> None:
        bearer = principal(authenticator, mint, self.BLOCK)
        assert bearer.allows(access())
        assert bearer.allows(access(**other)) == ("operation" not in other and "path" not in other)
        assert len(runs) == 2

    def test_stand_for_no_other_token(
        self, authenticator: BiscuitAuthenticator, mint: Mint, access: Make, runs: list[Access]
    ) -> None:
        assert principal(authenticator, mint, self.BLOCK).allows(access())
        assert not principal(authenticator, mint, 'check if path("other");').allows(access())
        assert len(runs) == 2

    def test_end_with_the_token(self, authenticator: BiscuitAuthenticator, mint: Mint, access: Make) -> None:
        token = mint.narrowed(mint.token(ttl=60), self.BLOCK)
        bearer = authenticator.authenticate(token, NOW)
        assert bearer.allows(access(time=NOW + 59))
        assert not bearer.allows(access(time=NOW + 60))

    @pytest.mark.parametrize(
        "block",
        [
            "check if time($t), $t < 2027-01-15T08:30:00Z, operation($o);",
            "check if time($t), $t < 2027-01-15T08:30:00Z or false;",
            "reject if time($t), $t >= 2027-01-15T08:30:00Z;",
        ],
    )
    def test_are_none_where_a_check_sees_the_time(
        self, authenticator: BiscuitAuthenticator, mint: Mint, access: Make, block: str
    ) -> None:
        bearer = principal(authenticator, mint, block)
        assert bearer.allows(access())
        assert not bearer.allows(access(time=NOW + 1801))

    def test_are_no_refusals(
        self, authenticator: BiscuitAuthenticator, mint: Mint, access: Make, runs: list[Access]
    ) -> None:
        bearer = principal(authenticator, mint, self.BLOCK)
        assert not any(bearer.allows(access(path="sys/mounts")) for _ in range(2))
        assert len(runs) == 2

    def test_are_bounded(
        self, authenticator: BiscuitAuthenticator, mint: Mint, access: Make, runs: list[Access]
    ) -> None:
        bearer = principal(authenticator, mint, self.BLOCK)
        for number in range(3 * KEPT_USES):
            assert bearer.allows(access(path=f"secret/data/{number}"))
        assert bearer._allowed is not None
        assert len(bearer._allowed) == KEPT_USES
        assert bearer.allows(access(path="secret/data/" + "x" * 1000))
        assert len(bearer._allowed) == KEPT_USES
