"""What a verified token says: looked up by name or JSON pointer, and compared with what is expected of it.

Source: RFC 7519, section 4.1; RFC 6901; Vault's API page `auth/jwt` for leeways and for claims bound to values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.login.glob import matches

Claims = Mapping[str, Any]

_TEXTS: Final = ("iss", "sub", "jti")
#: Seconds of leeway where a role says 0: for tokens that do not say when they end or begin, and for all clocks.
DEFAULT_LEEWAY: Final = 150
DEFAULT_SKEW: Final = 60

#: Of a token: groups that it names, and characters of each name and of each claim that is kept.
MAX_GROUPS: Final = 1000
MAX_TEXT: Final = 1024
#: Characters of all the metadata that a token gives.
MAX_METADATA: Final = 16 * 1024


class Expected(msgspec.Struct, frozen=True):
    """What the registered claims must be; what is empty is not looked at. Leeways are in seconds, -1 is none."""

    issuer: str = ""
    subject: str = ""
    audiences: Sequence[str] = ()
    expiration_leeway: int = 0
    not_before_leeway: int = 0
    clock_skew_leeway: int = 0
    times_needed: bool = True  # one of exp, nbf, iat at least


def check_registered(claims: Claims, expected: Expected, now: float) -> None:
    """Raise InvalidRequest unless the registered claims are as expected at `now`, seconds since 1970.

    Each that is there has its type, also where nothing is expected of it.
    """
    for name in _TEXTS:
        if not isinstance(claims.get(name, ""), str | None):
            raise InvalidRequest(f"claim {name} is not a string")
    audiences = audiences_of(claims)
    issued, begins, ends = (_time(claims, name) for name in ("iat", "nbf", "exp"))
    if expected.issuer and claims.get("iss") != expected.issuer:
        raise InvalidRequest("invalid issuer (iss) claim")
    if expected.subject and claims.get("sub") != expected.subject:
        raise InvalidRequest("invalid subject (sub) claim")
    if expected.audiences and not set(expected.audiences) & set(audiences):
        raise InvalidRequest("invalid audience (aud) claim: audience claim does not match any expected audience")
    _check_times(issued, begins, ends, expected, now)


def audiences_of(claims: Claims) -> list[str]:
    """Return whom a token is for; raises InvalidRequest where that is neither a text nor a list of texts."""
    found = claims.get("aud")
    audiences = [] if found is None else found if isinstance(found, list) else [found]
    if not all(isinstance(audience, str) for audience in audiences):
        raise InvalidRequest("invalid audience (aud) claim: neither a string nor a list of strings")
    return audiences


def _check_times(issued: int | None, begins: int | None, ends: int | None, expected: Expected, now: float) -> None:
    if issued is None and begins is None and ends is None:
        if expected.times_needed:
            raise InvalidRequest("no issued at (iat), not before (nbf), or expiration time (exp) claims in token")
        return
    if ends is None:
        ends = max(issued or 0, begins or 0) + _leeway(expected.expiration_leeway, DEFAULT_LEEWAY)
    if begins is None:
        early = _leeway(expected.not_before_leeway, DEFAULT_LEEWAY)
        begins = issued if issued is not None else ends - early
    skew = _leeway(expected.clock_skew_leeway, DEFAULT_SKEW)
    if now + skew < begins:
        raise InvalidRequest("invalid not before (nbf) claim: token not yet valid")
    if now - skew > ends:
        raise InvalidRequest("invalid expiration time (exp) claim: token is expired")
    if issued is not None and now + skew < issued:
        raise InvalidRequest("invalid issued at (iat) claim: token issued in the future")


def _time(claims: Claims, name: str) -> int | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f"claim {name} is not a number of seconds")
    return int(value)


def _leeway(seconds: int, default: int) -> int:
    return default if seconds == 0 else max(0, seconds)


def find_claim(claims: Claims, name: str) -> Any:
    """Return a claim by its name, or, of a name that begins with a slash, by JSON pointer; None where it is not.

    One audience is a list of one.
    """
    if not name.startswith("/"):
        found = claims.get(name)
        return [found] if name == "aud" and isinstance(found, str) else found
    place: Any = claims
    for step in name[1:].split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(place, dict):
            place = place.get(key)
        elif isinstance(place, list) and key.isascii() and key.isdigit() and len(key) < 6 and int(key) < len(place):
            place = place[int(key)]
        else:
            return None
    return place


def check_bound(claims: Claims, bound: Mapping[str, Any], *, globs: bool) -> None:
    """Raise InvalidRequest unless each bound claim has, or holds, one of the values it is bound to.

    With `globs`, values are patterns in which `*` stands for any text, and only texts fit them.
    """
    for name, wanted in bound.items():
        found = find_claim(claims, name)
        if found is None:
            raise InvalidRequest(f'error validating claims: claim "{name}" is missing')
        values = _values(found)
        if values is None:
            raise InvalidRequest(f'error validating claims: claim "{name}" is not a string, bool, int or list')
        if not _any_matches(_values(wanted) or [], values, globs=globs):
            raise InvalidRequest(
                f'error validating claims: claim "{name}" does not match any associated bound claim values'
            )


def _any_matches(wanted: list[Any], values: list[Any], *, globs: bool) -> bool:
    if globs:
        return any(
            isinstance(value, str) and isinstance(each, str) and matches(each, value)
            for each in wanted
            for value in values
        )
    return any(type(value) is type(each) and value == each for each in wanted for value in values)


def _values(found: Any) -> list[Any] | None:
    """Return a claim as a list; None where it can be compared with nothing. Numbers count without their fraction."""
    if isinstance(found, list):
        return found
    if isinstance(found, float):
        return [int(found)]
    return [found] if isinstance(found, str | int) else None


def groups_of(claims: Claims, name: str) -> tuple[str, ...]:
    """Return the groups that a claim names, each once.

    Raises:
        InvalidRequest: no such claim, or no list of texts, or too many.

    """
    found = find_claim(claims, name)
    if found is None:
        raise InvalidRequest(f'failed to fetch groups: "{name}" claim not found in token')
    groups = found if isinstance(found, list) else [found]
    if not all(isinstance(group, str) for group in groups):
        raise InvalidRequest(f'"{name}" claim could not be converted to string list')
    if len(groups) > MAX_GROUPS or any(len(group) > MAX_TEXT for group in groups):
        raise InvalidRequest(f'"{name}" claim has more than {MAX_GROUPS} groups, or too long ones')
    return tuple(dict.fromkeys(group for group in groups if group))


def user_of(claims: Claims, name: str, *, pointer: bool) -> str:
    """Return the user that a claim names; `pointer`: its name may be a JSON pointer. Raises InvalidRequest."""
    found = find_claim(claims, name) if pointer else claims.get(name)
    if found is None:
        raise InvalidRequest(f'claim "{name}" not found in token')
    if not isinstance(found, str):
        raise InvalidRequest(f'claim "{name}" could not be converted to string')
    if not found or len(found) > MAX_TEXT:
        raise InvalidRequest(f'claim "{name}" is empty, or longer than {MAX_TEXT} characters')
    return found


def mapped(claims: Claims, mappings: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata that mappings of claims to names give; a claim that is not there gives none.

    Raises:
        InvalidRequest: a claim is not a text, or too long.

    """
    metadata = {}
    for source, target in mappings.items():
        found = find_claim(claims, source)
        if found is None:
            continue
        if not isinstance(found, str):
            raise InvalidRequest(f"error converting claim '{source}' to string")
        if len(found) > MAX_TEXT:
            raise InvalidRequest(f"claim '{source}' is longer than {MAX_TEXT} characters")
        metadata[target] = found
    if sum(map(len, metadata.values())) > MAX_METADATA:
        raise InvalidRequest(f"claim_mappings: more than {MAX_METADATA} characters of metadata")
    return metadata
