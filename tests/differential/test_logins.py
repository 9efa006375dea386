"""Random walks over roles, secret ids and users on both servers: same answers, but for a table of deviations.

`KMS_DIFFERENTIAL_SEED` and `KMS_DIFFERENTIAL_WALKS` choose the walks; a failure names what makes them again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

import pytest

from tests.differential.deviation import drawn_seed
from tests.differential.login_walk import ROLES, USERS, LoginStep, Walk
from tests.differential.pair import Answer, Pair, Side

SEED = drawn_seed()
WALKS = int(os.environ.get("KMS_DIFFERENTIAL_WALKS", "4"))
STEPS = 60

_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SYMBOL: Final = re.compile(r"\$\w+")
#: What a text says of a value that was sent, or says in other words.
_REWORDED: Final = (
    (
        r"(?s)^(?:Field validation failed: )?error converting input for field (\"\w+\"): .*",
        "wrong type of a field",
    ),  # of several, any one
    (r"(?s)^error parsing address.*|^failed to parse token_bound_cidrs.*", "wrong address"),
    (r".*failed to validate (?:token )?CIDR blocks.*", "wrong blocks"),
    (r" (?:CIDR blocks on the role \[.*|CIDR blocks on the role and .*)", " blocks"),
    (r'source address "[^"]*"', "source address"),
    (r"unauthorized through", "unauthorized by"),  # of secret ids without a bound of uses
    (r": %!w\(<nil>\)", ""),
    (r"(invalid 'token_type' value).*", r"\1"),
    (r"period of .* is greater than (the backend's maximum lease TTL).*", r"period is greater than \1"),
    (r"(failed to find accessor entry for secret_id_accessor).*", r"\1"),
    (r"token_ttl should not be greater than token_max_ttl", "'token_ttl' cannot be greater than 'token_max_ttl'"),
    (r"failed to store secret_id: ", ""),
)
#: Not compared: times, and what is drawn.
_UNCOMPARED: Final = frozenset(
    {"creation_time", "expiration_time", "last_updated_time", "client_token", "accessor", "entity_id"}
    | {"secret_id", "secret_id_accessor", "role_id", "identity_policies"}
)
_NO_ACCESSOR: Final = "failed to find accessor entry for secret_id_accessor"
_LISTED_IDS: Final = re.compile(r"approle/role/[^/]+/secret-id")


class Server(NamedTuple):
    """One server, and what symbols stand for there."""

    side: Side
    ids: dict[str, str]

    def ask(self, step: LoginStep) -> Answer:
        """Ask, and take in what was made."""
        answer = self.side(step.method, f"auth/walk-{step.path}", self._told(step.body))
        if step.keeps and answer.status == 200:
            data = answer.data
            self.ids[f"${step.keeps}"] = data["role_id" if "role_id" in data else "secret_id"]
            if "secret_id_accessor" in data:
                self.ids[f"$a{step.keeps[1:]}"] = data["secret_id_accessor"]
        return _compared(step, answer)

    def _told(self, value: Any) -> Any:
        if isinstance(value, str):
            return _SYMBOL.sub(lambda found: self.ids.get(found[0], "nothing"), value)
        if isinstance(value, dict):
            return {name: self._told(each) for name, each in value.items()}
        return value


def _compared(step: LoginStep, answer: Answer) -> Answer:
    """Return what must be equal. Where one server answers 500 to a mistake of the caller's, both said 400."""
    errors, warnings = answer.errors, tuple(map(_durations, answer.warnings))
    for pattern, becomes in _REWORDED:
        errors = tuple(re.sub(pattern, becomes, text) for text in errors)
    status = 400 if answer.status == 500 and errors else answer.status
    data = _plain(answer.data)
    if status == 404 and data is not None:
        data, errors = None, (_NO_ACCESSOR,)  # told as data, for once
    if _LISTED_IDS.fullmatch(step.path) and step.method == "LIST" and answer.status == 200:
        data = len(answer.data["keys"])  # each is drawn, and one server has no order of them
    auth = _plain(answer.auth)
    return answer._replace(status=status, data=data, errors=errors, warnings=warnings, auth=auth)


def _durations(text: str) -> str:
    """Return a warning with durations in one form: a server may leave out what is none."""
    return re.sub(r"(?<=\d[hm])0[ms](?:0s)?", "", text)


def _plain(value: Any) -> Any:
    """Return data without what is not compared; null and an empty list are one."""
    if isinstance(value, dict):
        kept = {name: _plain(each) for name, each in value.items() if name not in _UNCOMPARED}
        return {name: each for name, each in sorted(kept.items()) if each is not None} or None
    if isinstance(value, list):
        return [_plain(each) for each in value] or None
    return "<id>" if isinstance(value, str) and _ID.fullmatch(value) else value


class Deviation(NamedTuple):
    """A difference that is meant, with steps that show it; the walk ends there where both then hold other things."""

    reason: str
    applies: Callable[[LoginStep, Answer, Answer], bool]
    example: tuple[LoginStep, ...]
    ends: bool = True


_MADE: Final = (
    LoginStep("POST", "approle/role/r0", {}),
    LoginStep("POST", "approle/role/r1", {}),
    LoginStep("POST", "approle/role/r0/secret-id", {}, "s0"),
)

DEVIATIONS: Final[tuple[Deviation, ...]] = (
    Deviation(
        "a role id that is not there is answered as one whose secret id is missing",
        lambda step, ours, reference: (
            step.path == "approle/login"
            and (ours.errors, reference.errors) == (("missing secret_id",), ("invalid role or secret ID",))
        ),
        (LoginStep("POST", "approle/login", {"role_id": "none"}),),
        ends=False,
    ),
    Deviation(
        "an accessor of another role's secret id is none",
        lambda step, ours, reference: (
            "/secret-id-accessor/" in step.path and ours.status == 404 and reference.status in (204, 403)
        ),
        (*_MADE, LoginStep("POST", "approle/role/r1/secret-id-accessor/lookup", {"secret_id_accessor": "$a0"})),
        ends=False,
    ),
    Deviation(
        "an accessor of nothing is not found, to be destroyed too",
        lambda step, ours, reference: (
            step.path.endswith("/secret-id-accessor/destroy")
            and (ours.errors, reference.errors) == ((_NO_ACCESSOR,), (_NO_ACCESSOR,))
            and (ours.status, reference.status) == (404, 400)
        ),
        (*_MADE, LoginStep("POST", "approle/role/r0/secret-id-accessor/destroy", {"secret_id_accessor": "x"})),
        ends=False,
    ),
    Deviation(
        "fields of tokens are checked, and against each other, by whatever name and path they come",
        lambda step, ours, reference: (
            reference.status in (200, 204) and ours.status == 400 and "'token_" in "".join(ours.errors)
        ),
        (LoginStep("POST", "userpass/users/u0", {"password": "x", "token_ttl": "48h", "max_ttl": "2h"}),),
    ),
    Deviation(
        "of two mistakes, what a request lacks is told before what is not there",
        lambda step, ours, reference: (
            ours.errors in {("must provide either password or password_hash",), ("missing role_id",)}
            and reference.errors in {("username does not exist",), ("unsupported path",)}
        ),
        (LoginStep("POST", "userpass/users/none/password", {"password": ""}),),
        ends=False,
    ),
)


@pytest.fixture(scope="module")
def servers(pair: Pair) -> Iterator[tuple[Server, Server]]:
    """Both servers, with a mount of each type, at which nobody is locked."""
    kinds = ("approle", "userpass")
    for side in pair:
        for kind in kinds:
            assert side("POST", f"sys/auth/walk-{kind}", {"type": kind}).status == 204
            lockout = {"user_lockout_config": {"lockout_disable": True}}
            assert side("POST", f"sys/auth/walk-{kind}/tune", lockout).status == 204
    yield Server(pair.ours, {}), Server(pair.reference, {})
    for side in pair:
        for kind in kinds:
            side("DELETE", f"sys/auth/walk-{kind}")


def _run(servers: tuple[Server, Server], steps: Iterable[LoginStep], seen: list[Deviation]) -> str | None:
    """Walk up to the first difference; return it in words. The deviations on the way are added to `seen`."""
    for place, step in enumerate(steps):
        ours, reference = (server.ask(step) for server in servers)
        if ours == reference:
            continue
        meant = next((each for each in DEVIATIONS if each.applies(step, ours, reference)), None)
        if meant is None:
            return f"step {place}: {step}\n  ours      {ours}\n  reference {reference}"
        seen.append(meant)
        if meant.ends:
            break
    return None


def _undo(server: Server) -> None:
    for name in {"none", *(each.lower() for each in ROLES)}:
        assert server.side("DELETE", f"auth/walk-approle/role/{name}").status == 204
    for name in {"none", *(each.lower() for each in USERS)}:
        assert server.side("DELETE", f"auth/walk-userpass/users/{name}").status == 204
    server.ids.clear()


def test_both_servers_let_the_same_in(servers: tuple[Server, Server]) -> None:
    found = []
    for number in range(WALKS):
        difference = _run(servers, Walk(SEED, number).steps(STEPS), [])
        if difference:
            found.append(f"walk {number}, {difference}")
        for server in servers:
            _undo(server)
    assert not found, f"KMS_DIFFERENTIAL_SEED={SEED}: {len(found)} of {WALKS} walks differ\n" + "\n".join(found)


@pytest.mark.parametrize("kind", ["approle", "userpass"])
def test_both_servers_lock_after_as_many_failures(servers: tuple[Server, Server], kind: str) -> None:
    right, wrong = (
        ({"role_id": "$r0", "secret_id": "$s0"}, {"role_id": "$r0", "secret_id": "wrong"})
        if kind == "approle"
        else ({"password": "right"}, {"password": "wrong"})
    )
    path = "approle/login" if kind == "approle" else "userpass/login/u0"
    found = []
    for server in servers:
        side = server.side
        side("POST", f"sys/auth/walk-{kind}/tune", {"user_lockout_config": {"lockout_disable": False}})
        for step in (
            LoginStep("POST", "approle/role/r0", {}),
            LoginStep("GET", "approle/role/r0/role-id", None, "r0"),
            LoginStep("POST", "approle/role/r0/secret-id", {}, "s0"),
            LoginStep("POST", "userpass/users/u0", {"password": "right"}),
        ):
            server.ask(step)
        tried = [server.ask(LoginStep("POST", path, body)) for body in [wrong] * 4 + [right] + [wrong] * 6 + [right]]
        accessor = side("GET", "sys/auth").data[f"walk-{kind}/"]["accessor"]
        told = side("GET", f"sys/locked-users?mount_accessor={accessor}").data
        (names,) = [each["alias_identifiers"] for each in told["by_namespace"][0]["mount_accessors"]]
        assert names == [server.ids["$r0"] if kind == "approle" else "u0"]
        assert side("POST", f"sys/locked-users/{accessor}/unlock/{names[0]}").status == 204
        found.append((tried, told["total"], server.ask(LoginStep("POST", path, right))))
        side("POST", f"sys/auth/walk-{kind}/tune", {"user_lockout_config": {"lockout_disable": True}})
        _undo(server)
    assert found[0] == found[1]
    assert [answer.status for answer in found[0][0]] == [400] * 4 + [200] + [400] * 5 + [403] * 2


#: What is changed of a role or a user between a login and a renewal; None: it is removed.
CHANGES: Final[tuple[dict[str, Any] | None, ...]] = (
    {},
    {"token_ttl": "5m"},
    {"token_max_ttl": "15m"},
    {"token_period": "7m"},
    {"token_policies": "other"},
    None,
)


@pytest.mark.parametrize("kind", ["approle", "userpass"])
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_both_servers_renew_by_what_a_role_or_user_is_now(
    servers: tuple[Server, Server], kind: str, change: dict[str, Any] | None
) -> None:
    """But for the status of what is not renewed, 500 or 204 there, 400 here."""
    place, login = (
        ("approle/role/r0", "approle/login") if kind == "approle" else ("userpass/users/u0", "userpass/login/u0")
    )
    body = {"role_id": "$r0", "secret_id": "$s0"} if kind == "approle" else {"password": "right"}
    found = []
    for server in servers:
        server.ask(LoginStep("POST", place, {"password": "right", "token_policies": "some", "token_ttl": "10m"}))
        if kind == "approle":
            server.ask(LoginStep("GET", f"{place}/role-id", None, "r0"))
            server.ask(LoginStep("POST", f"{place}/secret-id", {}, "s0"))
        token = server.side("POST", f"auth/walk-{login}", server._told(body)).auth["client_token"]
        server.ask(LoginStep("DELETE", place) if change is None else LoginStep("POST", place, change))
        seen = []
        for sent in ({}, {"increment": "12m"}, {"increment": "2h"}):
            answer = server.side("POST", "auth/token/renew", {"token": token, **sent})
            auth = answer.auth
            seen.append(None if auth is None else (round(auth["lease_duration"], -1), bool(answer.warnings)))
            if auth is None and server is servers[0]:
                assert answer.status == 400
        found.append(seen)
        _undo(server)
    assert found[0] == found[1]


@pytest.mark.parametrize("meant", DEVIATIONS, ids=lambda each: each.reason)
def test_each_deviation_is_still_one(servers: tuple[Server, Server], meant: Deviation) -> None:
    seen: list[Deviation] = []
    difference = _run(servers, meant.example, seen)
    for server in servers:
        _undo(server)
    assert difference is None
    assert seen == [meant], "the reference answers as this project does"
