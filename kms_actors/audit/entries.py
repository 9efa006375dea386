"""Entries: what a device writes of a request, and of its answer, one line of JSON each.

Their fields, and the order of these, are Vault's. Both entries of a request hold what is said of it: that part is
made once a device. Of that, what is the same in many is made once a bearer, operation and mount; what is said of the
bearer alone once a token.

Source: Vault's page "Audit devices", and what its reference writes.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from kms_actors import API_VERSION
from kms_actors.audit import masking
from kms_actors.audit.facts import Answered, Asked, Bearer, Entered, Entry, Parts, Place
from kms_actors.audit.masking import Masker, Steps
from kms_actors.audit.options import Options
from kms_actors.observe.bounded import BoundedLog

#: Bearers, and what is said of them where they ask, whose parts are kept; past it all are made anew.
_KEPT: Final = 1_024
_RUNNING: Final = f"v{API_VERSION}"
_SECOND: Final = 10**9
_NONE: Final[frozenset[str]] = frozenset()
_LISTING: Final = frozenset({"list", "scan"})
_NOBODY: Final = b'{"token_type":"default"}'
_ANYBODY: Final = b'{"policy_results":{"allowed":true},"token_type":"default"}'

_log: Final = BoundedLog("kms_actors.audit")


class _Bearer(NamedTuple):
    """What the entries of one device say of who bears a token: fields as they stand in an entry."""

    identity: object
    auth: bytes
    client: bytes = b""  # fields of the request, before its operation
    token: bytes = b""  # and before its namespace


class _Constant(NamedTuple):
    """What is the same in all entries of one bearer who does one thing below one mount."""

    identity: object
    auth: bytes
    before_path: bytes  # of the request, from the end of its id on
    mount: bytes  # fields of the answer


#: What one is found by: bearer, operation, namespace and mount.
_Key = tuple[int, str, str, Place | None]


class Entries:
    """Makes the lines of one device."""

    def __init__(self, options: Options, key: bytes, *, whole: bool = True) -> None:
        """Without `whole`, mounts cannot have values shown: the device is not their vault's."""
        self.masker: Final = Masker(key, raw=options.raw)
        self._options = options
        self.filter: Final = options.filter  # None: all requests
        self._whole = whole
        self._begin = options.prefix + b'{"time":"'
        self.headers: Mapping[str, bool] = {}  # that are shown, and whether they are masked
        self._known: dict[int, _Bearer] = {}
        self._constants: dict[_Key, _Constant] = {}

    def takes(self, entered: Entered) -> bool:
        """Tell whether entries of a request are written here."""
        return self.filter is None or self.filter(entered.asked.facts)

    def masking(self, asked: Asked) -> Steps:
        """Mask the data of a request, in steps; `request` then has them."""
        assert asked.data is not None
        asked.masked[self] = yield from self.masker.fields_in_steps(asked.data, self._shown_of_request(asked))

    def masking_answer(self, asked: Asked, answered: Answered) -> Steps:
        """Mask the data of an answer, in steps; `answer` then has them."""
        asked.masked_answer[self] = yield from self.masker.fields_in_steps(*self._of_answer(asked, answered))

    def lines(self, entry: Entry) -> Sequence[bytes]:
        """Return the lines of an entry, and of its answer if that is there; none of what is then `lost`."""
        entered, answered, error, now = entry
        entered.made = True
        try:
            asked = entered.asked
            if answered is not None:
                return (self.answer(asked, answered, now),)
            if entered.answered is None:
                return (self.request(asked, error, now),)
            return self.request(asked, error, now), self.answer(asked, entered.answered, entered.answered_at)
        except Exception as failed:  # noqa: BLE001 - of whatever kind, it is of no concern to the entries beside it
            entered.lost = True
            _log.warning("audit entry not made", "", error=type(failed).__name__)
            return ()

    def request(self, asked: Asked, error: str, now: int) -> bytes:
        """Return the line of a request; `now` is in nanoseconds since 1970."""
        auth, request, _ = asked.parts.get(self) or self._parts(asked)
        end = b',"error":%b}\n' % _dumps(error) if error else b"}\n"
        return b"".join((self._begin, _time(now), b'","type":"request","auth":', auth, b',"request":', request, end))

    def answer(self, asked: Asked, answered: Answered, now: int) -> bytes:
        """Return the line of an answer."""
        auth, request, mount = asked.parts.get(self) or self._parts(asked)
        if asked.identity is None and answered.auth is not None:
            auth = _dumps(self._given(answered.auth))
        response = self._response(asked, answered, mount)
        end = b'},"error":%b}\n' % _dumps(answered.error) if answered.error else b"}}\n"
        return b"".join(
            (
                self._begin,
                _time(now),
                b'","type":"response","auth":',
                auth,
                b',"request":',
                request,
                b',"response":{',
                response[1:],
                end,
            )
        )

    def _parts(self, asked: Asked) -> Parts:
        """Make what both entries of a request hold."""
        constant = self._constant(asked)
        parts = asked.parts[self] = constant.auth, self._request(asked, constant.before_path), constant.mount
        return parts

    def _constant(self, asked: Asked) -> _Constant:
        """Return what is the same in many entries; that of one who may do what he asks is kept."""
        identity, place = asked.identity, asked.place
        key = id(identity), asked.operation, asked.namespace, place
        kept = asked.allowed and identity is not None
        if kept and (known := self._constants.get(key)) is not None and known.identity is identity:
            return known
        bearer = self._bearer(asked)
        request, response = (b"", b"") if place is None else map(_fields_of, _mounts(place))
        before_path = b'"%b,"operation":%b%b%b,"namespace":{"id":%b},"path":' % (
            bearer.client,
            _dumps(asked.operation),
            request,
            bearer.token,
            _dumps(asked.namespace),
        )
        made = _Constant(identity, bearer.auth, before_path, response)
        if kept:
            if len(self._constants) >= _KEPT:
                self._constants.clear()
            self._constants[key] = made
        return made

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

    def _request(self, asked: Asked, before_path: bytes) -> bytes:
        fields = [b'{"id":"', asked.id.encode(), before_path, _dumps(asked.path)]
        if asked.data:
            masked = asked.masked.pop(self, None) if asked.masked else None
            fields += (b',"data":', _dumps(masked or self.masker.fields(asked.data, self._shown_of_request(asked))))
        if asked.remote:
            fields.append(_remote(asked.remote))
            if asked.port:
                fields.append(b',"remote_port":%d' % asked.port)
        if asked.wrap_ttl:
            fields.append(b',"wrap_ttl":%d' % asked.wrap_ttl)
        if self.headers and (headers := self._headers(asked)):
            fields += (b',"headers":', _dumps(headers))
        fields.append(b"}")
        return b"".join(fields)

    def _headers(self, asked: Asked) -> dict[str, list[str]]:
        found = {name: asked.headers(name) for name in self.headers}
        mask = self.masker.text
        return {name: list(map(mask, some)) if self.headers[name] else some for name, some in found.items() if some}

    def _response(self, asked: Asked, answered: Answered, mount: bytes) -> bytes:
        """Return the fields of an answer, each behind a comma."""
        fields = [mount]
        if answered.auth is not None:
            fields = [b',"auth":', _dumps(self._given(answered.auth)), mount]
        if answered.data:
            masked = asked.masked_answer.pop(self, None) if asked.masked_answer else None
            fields += (b',"data":', _dumps(masked or self.masker.fields(*self._of_answer(asked, answered))))
        if answered.warnings:
            fields += (b',"warnings":', _dumps(list(answered.warnings)))
        if answered.wrap_info is not None:
            fields += (b',"wrap_info":', _dumps(self._wrapped(answered.wrap_info)))
        return b"".join(fields)

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


def _mounts(place: Place) -> tuple[dict[str, str], dict[str, str]]:
    """Return what is said of a mount in a request, and in an answer."""
    shown = {"mount_point": place.path, "mount_type": place.type, "mount_accessor": place.accessor}
    kind = {"mount_class": "auth" if place.path.startswith("auth/") else "secret"}
    return (
        shown | {"mount_running_version": _RUNNING} | kind,
        shown | {"mount_running_plugin_version": _RUNNING} | kind,
    )


@functools.lru_cache(maxsize=_KEPT)
def _remote(address: str) -> bytes:
    return _fields(remote_address=address)


_second: tuple[int, bytes] = (0, b"")


def _time(now: int) -> bytes:
    """Return nanoseconds since 1970 as RFC 3339 has them."""
    global _second  # noqa: PLW0603 - made once a second, for thousands of lines
    begin, text = _second
    rest = now - begin
    if not (text and 0 <= rest < _SECOND):
        rest = now % _SECOND
        text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(now // _SECOND)).encode()
        _second = now - rest, text
    return b"%b%09dZ" % (text, rest)


def _fields(**values: str) -> bytes:
    return _fields_of(values)


def _fields_of(values: Mapping[str, str]) -> bytes:
    """Return fields of texts, those that are empty left out, each behind a comma."""
    return b"".join(b",%b:%b" % (_dumps(name), _dumps(value)) for name, value in values.items() if value)


def _dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # integers beyond 64 bits, or texts that are no UTF-8: as escapes
        return json.dumps(value, separators=(",", ":")).encode()
