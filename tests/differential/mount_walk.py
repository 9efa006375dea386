"""Requests that enable and tune mounts, made of a seed alone: settings that there are, and some that there are not.

Of texts and lists null is not drawn: it asks for nothing here, and is an empty one to the reference.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.differential.steps import Step

_SECONDS: Final[tuple[Any, ...]] = (0, 60, "2h", "90s", "", "x", "48h", "system", "1.5h", "90", "9000h", True, None)
_NAMES: Final[tuple[Any, ...]] = (["a", "b"], "c,d", [], "", "e", 7, {"a": 1}, ["a", "a"])

#: Values of settings, right and wrong.
_CONFIG: Final[Mapping[str, tuple[Any, ...]]] = {
    "default_lease_ttl": _SECONDS,
    "max_lease_ttl": _SECONDS,
    "listing_visibility": ("unauth", "hidden", "", "x", 1),
    "audit_non_hmac_request_keys": _NAMES,
    "audit_non_hmac_response_keys": _NAMES,
    "passthrough_request_headers": _NAMES,
    "allowed_response_headers": _NAMES,
}
_OPTIONS: Final[tuple[Any, ...]] = (
    {"version": "2"},
    "version=2",
    ["version=2", "a=b"],
    {"version": "1"},
    {"a": "b"},
    {"a": ""},
    {"version": "3"},
    None,
    "x",
)
_TUNED: Final[Mapping[str, tuple[Any, ...]]] = {
    **_CONFIG,
    "description": ("ours", "", "ü", 7),
    "options": _OPTIONS,
    "token_type": ("", None, "batch"),
}
_LOCKOUT: Final[tuple[Any, ...]] = (
    {"lockout_threshold": "5"},
    {"lockout_threshold": 7, "lockout_duration": "10m"},
    {"lockout_counter_reset_duration": "20m"},
    {"lockout_disable": True},
    {"lockout_threshold": "x"},
    {"lockout_threshold": -1},
    {"lockout_duration": "x"},
    {},
    None,
)
_LOGINS: Final[Mapping[str, tuple[Any, ...]]] = {
    **_TUNED,
    "options": ({"a": "b"}, "a=b", {"a": ""}, None),
    "token_type": ("service", "batch", "default-service", "default-batch", "", "x", None),
    "user_lockout_config": _LOCKOUT,
}
_ENABLED: Final[Mapping[str, tuple[Any, ...]]] = {
    "description": ("ours", "", 7),
    "local": (True, False, "true", "x"),
    "seal_wrap": (True, False),
    "options": ({"a": "b"}, "a=b", {}, None),
}

#: A mount of logins, and those of KV, by what the paths of both servers call them.
LOGIN: Final = "auth/walked"
ENGINES: Final = ("walked0", "walked1")


def walk(seed: str, length: int) -> Iterator[Step]:
    """Yield requests that enable, tune, move and disable mounts, and look at them."""
    drawn = random.Random(seed)
    for _ in range(length):
        if drawn.random() < 0.3:
            yield from _of_logins(drawn)
        else:
            yield from _of_engines(drawn)


#: Moves that are made or refused, in this order; paths are those of both servers.
MOVES: Final = tuple(
    Step("POST", "sys/remount", {"from": source, "to": target})
    for source, target in (
        ("walked0", "walked1"),
        ("walked1", "walked0"),
        ("walked0/", "/walked1/"),
        ("walked0", "walked2"),
        ("walked1", "walked1"),
        ("walked1", "walked1/below"),
        ("sys", "walked2"),
        ("cubbyhole", "walked2"),
        ("identity", "walked2"),
        ("auth/token", "auth/walked2"),
        ("walked1", "sys"),
        ("walked1", "auth/walked2"),
        ("walked1", "auth/token/below"),
        ("walked1", "identity/below"),
        ("auth/walked", "walked2"),
        ("auth/walked", "auth/token/below"),
        ("auth/walked", "auth"),
        ("auth/walked", "auth/walked2"),
        ("auth/walked2", "auth/walked"),
        ("walked1", "a//b"),
        ("walked1", "a/../b"),
        ("walked1 ", "walked2"),
        ("walked1", "walked2 "),
        ("", "walked2"),
        ("walked1", ""),
        (None, None),
        (1, 2),
    )
)


def _of_engines(drawn: random.Random) -> Iterator[Step]:
    path = drawn.choice(ENGINES)
    kind = drawn.choices(("tune", "enable", "disable"), (8, 3, 1))[0]
    if kind == "tune":
        yield Step("POST", f"sys/mounts/{path}/tune", _some(drawn, _TUNED))
    elif kind == "enable":
        engine = {"type": drawn.choice(("kv", "kv-v2", "kv-v1", "transit", "nope", "")), **_some(drawn, _ENABLED)}
        yield Step("POST", f"sys/mounts/{path}", {**engine, "config": _some(drawn, _whole(_CONFIG))})
    else:
        yield Step("DELETE", f"sys/mounts/{path}")
    yield Step("GET", f"sys/mounts/{path}/tune")
    yield Step("GET", f"sys/mounts/{path}")


def _of_logins(drawn: random.Random) -> Iterator[Step]:
    spelling = drawn.choice(("sys/auth/walked", "sys/mounts/auth/walked"))
    kind = drawn.choices(("tune", "enable", "disable"), (8, 3, 1))[0]
    if kind == "tune":
        yield Step("POST", f"{spelling}/tune", _some(drawn, _LOGINS))
    elif kind == "enable":
        config = {**_some(drawn, _whole(_CONFIG)), **_some(drawn, {"token_type": _LOGINS["token_type"]})}
        method = {"type": drawn.choice(("userpass", "approle", "kv", "")), **_some(drawn, _ENABLED)}
        yield Step("POST", "sys/auth/walked", {**method, "config": config})
    else:
        yield Step("DELETE", "sys/auth/walked")
    yield Step("GET", f"{spelling}/tune")
    yield Step("GET", spelling)


#: What puts the mount of tokens back; nobody can disable it.
UNTUNED: Final = Step(
    "POST",
    "sys/auth/token/tune",
    {
        "default_lease_ttl": "0",
        "max_lease_ttl": "0",
        "force_no_cache": False,
        "description": "token based credentials",
        "listing_visibility": "hidden",
        "options": {"a": ""},
        "audit_non_hmac_request_keys": [],
        "audit_non_hmac_response_keys": [],
        "passthrough_request_headers": [],
        "allowed_response_headers": [],
    },
)


def walk_of_tokens(seed: str, length: int) -> Iterator[Step]:
    """Yield requests that tune the mount of tokens, look at it, and make tokens and a role of them."""
    drawn = random.Random(seed)
    for _ in range(length):
        spelling = drawn.choice(("sys/auth/token", "sys/mounts/auth/token"))
        yield Step("POST", f"{spelling}/tune", _some(drawn, _LOGINS))
        yield Step("GET", f"{spelling}/tune")
        yield Step("GET", spelling)
        lives = {
            "ttl": drawn.choice(("", "", "30s", "3h", "900h", "9500h")),
            "explicit_max_ttl": drawn.choice(("", "", "", "90m", "900h")),
            "period": drawn.choice(("", "", "", "50h")),
            "type": drawn.choice(("service", "service", "batch")),
        }
        wanted = {name: value for name, value in lives.items() if value}
        yield Step("POST", "auth/token/create", {**wanted, "policies": ["default"]})
        yield Step("POST", "auth/token/roles/tuned", {"token_explicit_max_ttl": drawn.choice(("0", "1h", "900h"))})


def _whole(values: Mapping[str, tuple[Any, ...]]) -> Mapping[str, tuple[Any, ...]]:
    """Return values as a mount is enabled with: then the reference takes no truth for a time, nor 7 for a name."""
    return {name: tuple(value for value in some if value is not True and value != 7) for name, some in values.items()}


def _some(drawn: random.Random, values: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    names = drawn.sample(sorted(values), k=drawn.choice((0, 1, 1, 1, 2, 3)) if len(values) > 3 else 1)
    return {name: drawn.choice(values[name]) for name in names}
