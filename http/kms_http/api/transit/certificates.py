"""Transit: certificate signing requests, and the certificates that come of them."""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.transit.messages import Certified, MakeSigningRequest, SetCertificate
from kms_http.fields import (
    Fields,
    to_int,
    to_str,
)
from kms_http.routing import (
    Call,
    Endpoint,
    Operation,
    Reply,
    Route,
)

#: A version that no key has.
_NO_VERSION: Final = -1


def named_version(call: Call) -> int:
    """Return the version of a request; without one 0, the latest. Sent as 0 it names none."""
    version: int = call.values.get("version", 0)
    return version if version or "version" not in call.values else _NO_VERSION


def _build_request(call: Call) -> MakeSigningRequest:
    assert call.mount is not None
    return MakeSigningRequest(call.mount, call.captures["name"], named_version(call), call.values.get("csr", ""))


def _render_request(call: Call, made: Certified) -> Reply:
    return Reply(data={"csr": made.pem, "name": call.captures["name"], "type": made.type})


def _build_certificate(call: Call) -> SetCertificate:
    assert call.mount is not None
    chain = call.values.get("certificate_chain", "")
    return SetCertificate(call.mount, call.captures["name"], named_version(call), chain)


def _render_certificate(call: Call, made: Certified) -> Reply:
    return Reply(data={"certificate_chain": made.pem, "name": call.captures["name"], "type": made.type})


def _write(build: Any, render: Any, **fields: Any) -> dict[Operation, Endpoint]:
    return {Operation.WRITE: Endpoint(build, render, Capability.UPDATE, Fields(version=to_int, **fields))}


ROUTES: Final = (
    Route("keys/{name}/csr", _write(_build_request, _render_request, csr=to_str)),
    Route(
        "keys/{name}/set-certificate",
        _write(_build_certificate, _render_certificate, certificate_chain=to_str),
    ),
)
