"""Entries: what a device writes of a request, and of its answer, one line of JSON each.

Their fields, and the order of these, are Vault's. Both entries of a request hold what is said of it: that part is
made once a device, and what is said of the bearer once a token.

Source: Vault's page "Audit devices", and what its reference writes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from kms_actors import API_VERSION
from kms_actors.audit import masking
from kms_actors.audit.facts import Answered, Asked, Bearer, Place
from kms_actors.audit.masking import Masker, Steps
from kms_actors.audit.options import Options

#: Bearers whose part is kept; past it all are made anew.
_KEPT: Final = 1_024
_RUNNING: Final = f"v{API_VERSION}"
_SECOND: Final = 10**9
_NONE: Final[frozenset[str]] = frozenset()
_LISTING: Final = frozenset({"list", "scan"})
_NOBODY: Final = b'{"token_type":"default"}'
_ANYBODY: Final = b'{"policy_results":{"allowed":true},"token_type":"default"}'


class _Bearer(NamedTuple):
    """What the entries of one device say of who bears a token: fields as they stand in an entry."""

    identity: object
    auth: bytes
    client: bytes = b""  # fields of the request, before its operation
    token: bytes = b""  # and before its namespace


class _Shown(NamedTuple):
    """What entries say of a mount: fields of the request, and of the answer."""

    request: bytes
    response: bytes


class Entries:
    """Makes the lines of one device."""

    def __init__(self, options: Options, key: bytes, *, whole: bool = True) -> None:
        """Without `whole`, mounts cannot have values shown: the device is not their vault's."""
        self.masker: Final = Masker(key, raw=options.raw)
        self._options = options
        self._whole = whole
        self.headers: Mapping[str, bool] = {}  # that are shown, and whether they are masked
        self._known: dict[int, _Bearer] = {}
        self._places: dict[tuple[str, str, str], _Shown] = {}

    def takes(self, asked: Asked) -> bool:
        """Tell whether entries of a request are written here."""
        return self._options.filter is None or self._options.filter(asked.facts)

    def masking(self, asked: Asked) -> Steps:
        """Mask the data of a request, in steps; `request` then has them."""
        assert asked.data is not None
        asked.masked[self] = yield from self.masker.fields_in_steps(asked.data, self._shown_of_request(asked))

    def masking_answer(self, asked: Asked, answered: Answered) -> Steps:
        """Mask the data of an answer, in steps; `answer` then has them."""
        asked.masked[self] = yield from self.masker.fields_in_steps(*self._of_answer(asked, answered))

    def request(self, asked: Asked, error: str, now: int) -> bytes:
        """Return the line of a request; `now` is in nanoseconds since 1970."""
        return self._line("request", now, self._parts(asked), b"", error)

    def answer(self, asked: Asked, answered: Answered, now: int) -> bytes:
        """Return the line of an answer."""
        auth, request = self._parts(asked)
        if asked.identity is None and answered.auth is not None:
            auth = _dumps(self._given(answered.auth))
        return self._line("response", now, (auth, request), self._response(asked, answered), answered.error)

    def _line(self, kind: str, now: int, parts: tuple[bytes, bytes], response: bytes, error: str) -> bytes:
        auth, request = parts
        line = [
            self._options.prefix,
            b'{"time":"%b","type":"%b","auth":' % (_time(now), kind.encode()),
            auth,
            b',"request":',
            request,
        ]
        if response:
            line += b',"response":', response
        if error:
            line += b',"error":', _dumps(error)
        line.append(b"}\n")
        return b"".join(line)

    def _parts(self, asked: Asked) -> tuple[bytes, bytes]:
        """Return what is said of the bearer and of the request."""
        parts = asked.parts.get(self)
        if parts is None:
            bearer = self._bearer(asked)
            parts = asked.parts[self] = bearer.auth, self._request(asked, bearer)
        return parts

    def _bearer(self, asked: Asked) -> _Bearer:
        """Return what is said of the bearer; that of one who may do what he asks is kept."""
        masker, identity = self.masker, asked.identity
        if identity is None:
            token = masker.text(asked.token) if asked.token else ""
            return _Bearer(None, _ANYBODY if asked.allowed else _NOBODY, token=_fields(client_token=token))
        known = self._known.get(id(identity))
        if known is not None and known.identity is identity and asked.allowed:
            return known
        bearer = asked.describe(identity)
        token, accessor = masker.text(asked.token), self._accessor(bearer.accessor)
        auth = _dumps(_auth(bearer, token, accessor, allowed=asked.allowed))
        client = _fields(client_id=bearer.entity_id)
        found = _Bearer(identity, auth, client, _fields(client_token=token, client_token_accessor=accessor))
        if asked.allowed:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[id(identity)] = found
        return found

    def _accessor(self, accessor: str) -> str:
        return self.masker.text(accessor) if self._options.hmac_accessor and accessor else accessor

    def _shown_of_request(self, asked: Asked) -> frozenset[str]:
        return asked.place.shown_of_requests if asked.place is not None and self._whole else _NONE

    def _of_answer(self, asked: Asked, answered: Answered) -> tuple[Mapping[str, Any], frozenset[str]]:
        """Return the data of an answer as they are to be masked, and which of their fields are not."""
        data = answered.data or {}
        if self._options.elide_lists and asked.operation in _LISTING:
            data = masking.counted(data)
        return data, asked.place.shown_of_answers if asked.place is not None and self._whole else _NONE

    def _request(self, asked: Asked, bearer: _Bearer) -> bytes:
        fields = [b'{"id":', _dumps(asked.id), bearer.client, b',"operation":', _dumps(asked.operation)]
        if asked.place is not None:
            fields.append(self._shown(asked.place).request)
        fields += (bearer.token, b',"namespace":{"id":', _dumps(asked.namespace), b'},"path":', _dumps(asked.path))
        if asked.data:
            masked = asked.masked.pop(self, None)
            fields += (b',"data":', _dumps(masked or self.masker.fields(asked.data, self._shown_of_request(asked))))
        if asked.remote:
            fields += (b',"remote_address":', _dumps(asked.remote))
            if asked.port:
                fields.append(b',"remote_port":%d' % asked.port)
        if asked.wrap_ttl:
            fields.append(b',"wrap_ttl":%d' % asked.wrap_ttl)
        if self.headers and (headers := self._headers(asked)):
            fields += (b',"headers":', _dumps(headers))
        fields.append(b"}")
        return b"".join(fields)

    def _shown(self, place: Place) -> _Shown:
        key = place.path, place.type, place.accessor
        shown = self._places.get(key)
        if shown is None:
            if len(self._places) >= _KEPT:
                self._places.clear()
            request, response = (_mount(place, f"mount_running_{what}") for what in ("version", "plugin_version"))
            shown = self._places[key] = _Shown(_fields(**request), _fields(**response))
        return shown

    def _headers(self, asked: Asked) -> dict[str, list[str]]:
        found = {name: asked.headers(name) for name in self.headers}
        mask = self.masker.text
        return {name: list(map(mask, some)) if self.headers[name] else some for name, some in found.items() if some}

    def _response(self, asked: Asked, answered: Answered) -> bytes:
        fields: list[bytes] = []
        if answered.auth is not None:
            fields += (b',"auth":', _dumps(self._given(answered.auth)))
        if asked.place is not None:
            fields.append(self._shown(asked.place).response)
        if answered.data:
            masked = asked.masked.pop(self, None)
            fields += (b',"data":', _dumps(masked or self.masker.fields(*self._of_answer(asked, answered))))
        if answered.warnings:
            fields += (b',"warnings":', _dumps(list(answered.warnings)))
        if answered.wrap_info is not None:
            fields += (b',"wrap_info":', _dumps(self._wrapped(answered.wrap_info)))
        return b"{%b}" % b"".join(fields)[1:]

    def _given(self, auth: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is shown of a token that an answer gives."""
        bearer = Bearer(
            display_name=str(auth.get("display_name") or ""),
            policies=tuple(auth.get("policies") or ()),
            token_policies=tuple(auth.get("token_policies") or ()),
            identity_policies=tuple(auth.get("identity_policies") or ()),
            metadata=auth.get("metadata"),
            entity_id=str(auth.get("entity_id") or ""),
            token_type=str(auth.get("token_type") or "service"),
            token_ttl=int(auth.get("lease_duration") or 0),
        )
        token, accessor = str(auth.get("client_token") or ""), str(auth.get("accessor") or "")
        return _auth(bearer, self.masker.text(token) if token else "", self._accessor(accessor), allowed=None)

    def _wrapped(self, info: Mapping[str, Any]) -> dict[str, Any]:
        shown = {
            "ttl": info["ttl"],
            "token": self.masker.text(info["token"]),
            "accessor": self._accessor(info["accessor"]),
            "creation_time": info["creation_time"],
            "creation_path": info["creation_path"],
        }
        if info.get("wrapped_accessor"):
            shown["wrapped_accessor"] = self._accessor(info["wrapped_accessor"])
        return shown


def _auth(bearer: Bearer, token: str, accessor: str, *, allowed: bool | None) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if token:
        shown["client_token"] = token
    if accessor:
        shown["accessor"] = accessor
    if bearer.display_name:
        shown["display_name"] = bearer.display_name
    for name in ("policies", "token_policies", "identity_policies"):
        if value := getattr(bearer, name):
            shown[name] = list(value)
    if allowed is not None:
        shown["policy_results"] = {"allowed": allowed}
    if bearer.metadata:
        shown["metadata"] = dict(bearer.metadata)
    if bearer.entity_id:
        shown["entity_id"] = bearer.entity_id
    shown["token_type"] = bearer.token_type
    if bearer.token_ttl:
        shown["token_ttl"] = bearer.token_ttl
    if bearer.issued:
        shown["token_issue_time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(bearer.issued))
    return shown


def _mount(place: Place, version: str) -> dict[str, str]:
    shown = {"mount_point": place.path, "mount_type": place.type}
    if place.accessor:
        shown["mount_accessor"] = place.accessor
    shown[version] = _RUNNING
    shown["mount_class"] = "auth" if place.path.startswith("auth/") else "secret"
    return shown


_last_second: tuple[int, bytes] = (-1, b"")


def _time(now: int) -> bytes:
    """Return nanoseconds since 1970 as RFC 3339 has them."""
    global _last_second  # noqa: PLW0603 - made once a second, for thousands of lines
    second, rest = divmod(now, _SECOND)
    if _last_second[0] != second:
        _last_second = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
    return b"%b.%09dZ" % (_last_second[1], rest)


def _fields(**values: str) -> bytes:
    """Return fields of texts, those that are empty left out, each behind a comma."""
    return b"".join(b",%b:%b" % (_dumps(name), _dumps(value)) for name, value in values.items() if value)


def _dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # integers beyond 64 bits, or texts that are no UTF-8: as escapes
        return json.dumps(value, separators=(",", ":")).encode()
