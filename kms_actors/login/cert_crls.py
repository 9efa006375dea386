"""Certificates that were revoked, as lists say that were given by hand, or are fetched.

Source: RFC 5280, section 5; Vault's API page `auth/cert`, "Create CRL".
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Final

import msgspec
from cryptography import x509

from kms_actors.errors import InvalidRequest
from kms_actors.keyring import stored
from kms_actors.login.messages import OfLogins
from kms_actors.messages import Command, Query
from kms_actors.untrusted import untrusted

#: Lists of one mount, and certificates that one of them names.
MAX_CRLS: Final = 64
MAX_REVOKED: Final = 2000
_SERIAL: Final = 20  # bytes (RFC 5280, section 4.1.2.2)
_MAX_URL: Final = 2048


class CertCrl(msgspec.Struct, frozen=True, kw_only=True):
    """One list: `serials` of 20 bytes each, in base64; with a `url` it is fetched anew at `next_update`."""

    serials: str = ""
    url: str = ""
    next_update: float = 0.0  # seconds since 1970; 0: it says nothing of that
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> CertCrl:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "list of revoked certificates")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)

    def numbers(self) -> list[int]:
        """Return the numbers of the certificates."""
        raw = base64.b64decode(self.serials)
        return [int.from_bytes(raw[place : place + _SERIAL], "big") for place in range(0, len(raw), _SERIAL)]

    def names(self, number: int) -> bool:
        """Tell whether a certificate with this number was revoked, in a search of bytes."""
        if not 0 <= number < 1 << 8 * _SERIAL:
            return False
        raw, wanted = base64.b64decode(self.serials), number.to_bytes(_SERIAL, "big")
        place = raw.find(wanted)
        while place >= 0 and place % _SERIAL:
            place = raw.find(wanted, place + 1)
        return place >= 0

    def due(self, now: float) -> bool:
        """Tell whether there may be a newer one to fetch."""
        return bool(self.url and self.next_update and now >= self.next_update)


class OfCertCrl(OfLogins, frozen=True):
    """Base of those that concern one list; `name` is lower-case."""

    name: str


class ReadCertCrl(OfCertCrl, Query, frozen=True):
    """Answer: CertCrl; raises InvalidRequest where there is none."""


class ListCertCrls(OfLogins, Query, frozen=True):
    """Answer: names in order; raises NotFound for none."""


class WriteCertCrl(OfCertCrl, Command, frozen=True):
    """Make or replace a list: of what is given, PEM or DER, or of what `url` has. Answer: None."""

    crl: str
    url: str


class DeleteCertCrl(OfCertCrl, Command, frozen=True):
    """Answer: None; raises InvalidRequest where there is none."""


def check_sources(crl: str, url: str) -> None:
    """Raise InvalidRequest unless a list is given, or can be fetched."""
    if not crl and not url:
        raise InvalidRequest("one of 'crl' or 'url' must be provided")
    if len(url) > _MAX_URL:
        raise InvalidRequest(f"url: at most {_MAX_URL} characters")


def read(content: bytes, url: str = "") -> CertCrl:
    """Return the list in `content`, PEM or DER. Raises InvalidRequest."""
    with untrusted("failed to parse CRL"):
        load = x509.load_pem_x509_crl if content.lstrip().startswith(b"-----BEGIN") else x509.load_der_x509_crl
        found = load(content)
        if len(found) > MAX_REVOKED:
            raise InvalidRequest(f"crl: at most {MAX_REVOKED} certificates")
        numbers = [each.serial_number for each in found]
        until = found.next_update_utc
    packed = b"".join(number.to_bytes(_SERIAL, "big") for number in _in_range(numbers))
    return CertCrl(
        serials=base64.b64encode(packed).decode(),
        url=url,
        next_update=until.timestamp() if until is not None else 0.0,
    )


def _in_range(numbers: Iterable[int]) -> list[int]:
    """Return numbers that certificates can have, in order, each once."""
    return sorted({number for number in numbers if 0 <= number < 1 << 8 * _SERIAL})


def no_such(name: str) -> InvalidRequest:
    """Return the error of a list that is not there."""
    return InvalidRequest(f"no such CRL {name}")
