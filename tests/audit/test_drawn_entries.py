"""Drawn requests and answers: their lines are what plain code makes of them, together or apart, with what is kept."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kms_actors import API_VERSION
from kms_actors.audit.entries import Entries
from kms_actors.audit.facts import LARGE, Answered, Asked, Bearer, Entered, Place
from kms_actors.audit.options import read

KEY = bytes(range(32))
RUNNING = f"v{API_VERSION}"
TEXT = st.sampled_from(["", "x", 'a"b\\', "\n\0", "é\u2028😀", "y" * 200])
LEAVES = st.sampled_from([None, True, 0, -1, 2**63, 10**30, 0.5]) | TEXT
VALUES = (
    LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(TEXT, LEAVES | st.lists(TEXT, max_size=2), max_size=2)
)
DATA = st.none() | st.dictionaries(st.sampled_from(["a", "b", "keys"]) | TEXT, VALUES, max_size=3)
NAMES = st.frozensets(st.sampled_from(["a", "b"]))
#: Few, so that what is kept of one is found for another.
PLACES = st.none() | st.builds(
    Place,
    st.sampled_from(["kv/", "auth/x/"]),
    st.sampled_from(["kv", "jwt"]),
    st.sampled_from(["", "acc"]),
    NAMES,
    NAMES,
)
BEARERS = st.builds(
    Bearer, TEXT, TEXT, st.just(("p",)), st.just(()), st.just(()), st.none() | st.just({"m": "1"}), TEXT,
    st.just("service"), st.integers(0, 99), st.integers(0, 2**31),
)  # fmt: skip
AUTHS = st.fixed_dictionaries({"client_token": TEXT, "accessor": TEXT, "policies": st.just(["p"])})
TIMES = st.integers(10**18, 2 * 10**18)


def mac(text: str) -> str:
    return "hmac-sha256:" + hmac.digest(KEY, text.encode(), hashlib.sha256).hex()


def masked(value: Any, shown: frozenset[str] = frozenset(), *, plain: bool = False) -> Any:
    if isinstance(value, str):
        return value if plain else mac(value)
    if isinstance(value, list):
        return [masked(each, shown, plain=plain) for each in value]
    if isinstance(value, dict):
        return {name: masked(each, shown, plain=name in shown) for name, each in value.items()}
    return value


def filled(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def told(now: int) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now // 10**9))}.{now % 10**9:09}Z"


def auth_of(bearer: Bearer, token: str, allowed: bool | None) -> dict[str, Any]:
    made = filled(client_token=token and mac(token), accessor=bearer.accessor and mac(bearer.accessor))
    made |= filled(display_name=bearer.display_name, policies=list(bearer.policies))
    made |= filled(token_policies=list(bearer.token_policies), identity_policies=list(bearer.identity_policies))
    made |= {} if allowed is None else {"policy_results": {"allowed": allowed}}
    made |= filled(metadata=bearer.metadata, entity_id=bearer.entity_id) | {"token_type": bearer.token_type}
    issued = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(bearer.issued)) if bearer.issued else ""
    return made | filled(token_ttl=bearer.token_ttl, token_issue_time=issued)


def mount(place: Place | None, version: str) -> dict[str, Any]:
    if place is None:
        return {}
    known = filled(mount_point=place.path, mount_type=place.type, mount_accessor=place.accessor) | {version: RUNNING}
    return known | {"mount_class": "auth" if place.path.startswith("auth/") else "secret"}


def expected(asked: Asked, whole: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is said of the bearer and of the request."""
    bearer, accessor = asked.identity, ""
    assert isinstance(bearer, Bearer | None)
    if bearer is None:
        auth = ({"policy_results": {"allowed": True}} if asked.allowed else {}) | {"token_type": "default"}
    else:
        auth, accessor = auth_of(bearer, asked.token, asked.allowed), bearer.accessor and mac(bearer.accessor)
    request = {"id": asked.id} | filled(client_id=bearer.entity_id if bearer else "") | {"operation": asked.operation}
    request |= mount(asked.place, "mount_running_version")
    request |= filled(client_token=asked.token and mac(asked.token), client_token_accessor=accessor)
    request |= {"namespace": {"id": asked.namespace}, "path": asked.path}
    shown = asked.place.shown_of_requests if asked.place and whole else frozenset[str]()
    request |= filled(data=masked(asked.data, shown), remote_address=asked.remote)
    request |= filled(remote_port=asked.port) if asked.remote else {}
    return auth, request | filled(wrap_ttl=asked.wrap_ttl)


@st.composite
def drawn(draw: st.DrawFn) -> tuple[Entered, Answered, bool]:
    bearer = draw(st.none() | st.sampled_from(BEARERS_KNOWN) | BEARERS)
    asked = Asked(
        "id-1",
        draw(st.sampled_from(["read", "update", "list"])),
        draw(TEXT),
        draw(st.sampled_from(["", "vault_1", "vault_2"])),
        draw(PLACES),
        token="t" if bearer in BEARERS_KNOWN else draw(TEXT) or ("" if bearer is None else "u"),
        identity=bearer,
        describe=lambda found: found,
        allowed=draw(st.booleans()),
        data=draw(DATA),
        size=draw(st.sampled_from([0, LARGE + 1])),
        remote=draw(st.sampled_from(["", "10.0.0.1", "::1"])),
        port=draw(st.sampled_from([0, 5])),
        wrap_ttl=draw(st.sampled_from([0, 60])),
    )
    error = draw(st.sampled_from(["", "denied"]))
    answered = Answered(draw(DATA), draw(st.sampled_from([0, LARGE + 1])), draw(st.none() | AUTHS), error=error)
    return Entered(lambda: asked), answered, draw(st.booleans())


BEARERS_KNOWN = [Bearer("acc", "me", ("a", "b"), issued=1_700_000_000), Bearer("", "you", entity_id="e")]
#: What they keep is there for all that is drawn.
KEEPING = Entries(read("file", {"file_path": "x"}), KEY)
MASKING_ALL = Entries(read("file", {"file_path": "x"}), KEY, whole=False)


@given(st.lists(drawn(), min_size=1, max_size=2), TIMES, TIMES, st.booleans())
def test_lines_are_what_plain_code_makes_of_them(
    many: list[tuple[Entered, Answered, bool]], first: int, then: int, whole: bool
) -> None:
    entries = KEEPING if whole else MASKING_ALL
    for entered, answered, together in many:
        asked = entered.asked
        for large, steps in ((asked.large, entries.masking), (answered.large, None)):
            if large:
                assert list(entries.masking_answer(asked, answered) if steps is None else steps(asked)) is not None
        if together:
            entered.answered, entered.answered_at = answered, then
            made = [*entries.lines((entered, None, "", first))]
        else:
            made = [*entries.lines((entered, None, "", first)), *entries.lines((entered, answered, "", then))]
        auth, request = expected(asked, whole)
        whose = auth
        given_auth = {}
        if answered.auth is not None:
            bearer = Bearer(answered.auth["accessor"], policies=("p",))
            given_auth = auth_of(bearer, answered.auth["client_token"], None)
            whose = auth if asked.identity is not None else given_auth
        shown = asked.place.shown_of_answers if asked.place and whole else frozenset[str]()
        response = filled(auth=given_auth) | mount(asked.place, "mount_running_plugin_version")
        response |= filled(data=masked(answered.data, shown))
        wanted = [
            {"time": told(first), "type": "request", "auth": auth, "request": request},
            {"time": told(then), "type": "response", "auth": whose, "request": request, "response": response}
            | filled(error=answered.error),
        ]
        assert [json.dumps(json.loads(line)) for line in made] == [json.dumps(each) for each in wanted]
        assert entered.made
        assert not entered.lost


def test_what_no_line_can_be_made_of_is_lost_alone() -> None:
    def broken() -> Asked:
        raise RuntimeError

    entered = Entered(broken)
    assert KEEPING.lines((entered, None, "", 0)) == ()
    assert entered.lost
