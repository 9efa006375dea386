"""The dearest that logins by certificate take, as `dearest` has those of all others."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from kms_actors.login.cert_crls import MAX_REVOKED
from kms_http.routing import Operation
from tests.support.certificates import authority
from tests.support.dear import DELETE, LIST, READ, WRITE, Dear, anything, fields, nothing, text

_CERT: Final = "auth/cert"
_ROOT: Final = authority()
#: As many certificates as fit into a role.
_MANY: Final = _ROOT.pem * 45


def _crl(count: int) -> str:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(_ROOT.certificate.subject)
    builder = builder.last_update(now).next_update(now + datetime.timedelta(days=1))
    for number in range(1, count + 1):
        entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(_ROOT.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


CERT: Final[Mapping[str, Mapping[Operation, list[Dear]]]] = {
    "config": {READ: nothing(f"{_CERT}/config"), WRITE: anything(f"{_CERT}/config")},
    "certs": {LIST: nothing(f"{_CERT}/certs")},
    "certs/{name}": {
        READ: nothing(f"{_CERT}/certs/dear"),
        WRITE: [
            *anything(f"{_CERT}/certs/dear"),
            Dear(f"{_CERT}/certs/dear", fields(certificate=text())),
            Dear(f"{_CERT}/certs/dear", fields(certificate=lambda: _ROOT.pem * 20_000)),
            Dear(f"{_CERT}/certs/dear", fields(certificate=_MANY)),
            Dear(f"{_CERT}/certs/dear", fields(allowed_names=lambda: ["x"] * 190_000)),
            Dear(f"{_CERT}/certs/dear", fields(token_policies=text())),
        ],
        DELETE: nothing(f"{_CERT}/certs/none"),
    },
    "crls": {LIST: nothing(f"{_CERT}/crls")},
    "crls/{name}": {
        READ: nothing(f"{_CERT}/crls/dear"),
        WRITE: [
            *anything(f"{_CERT}/crls/dear"),
            Dear(f"{_CERT}/crls/dear", fields(crl=text())),
            Dear(f"{_CERT}/crls/dear", fields(crl=lambda: _crl(MAX_REVOKED))),
            Dear(f"{_CERT}/crls/dear", fields(crl=lambda: _crl(20_000))),
        ],
        DELETE: nothing(f"{_CERT}/crls/none"),
    },
    "login": {WRITE: [*anything(f"{_CERT}/login"), Dear(f"{_CERT}/login", fields(name=text()))]},
}


def preparation() -> Iterator[tuple[str, bytes]]:
    """Yield the writes that make what the table names: path and body."""
    yield f"{_CERT}/certs/dear", json.dumps({"certificate": _ROOT.pem}).encode()
    yield f"{_CERT}/crls/dear", json.dumps({"crl": _crl(MAX_REVOKED)}).encode()
