"""What certificates say: read from what callers sent, and never raising more than InvalidRequest."""

from __future__ import annotations

import functools
from typing import Final, TypeAlias, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kms_actors.untrusted import untrusted

E = TypeVar("E", bound=x509.ExtensionType)
Name: TypeAlias = x509.DNSName | x509.RFC822Name | x509.UniformResourceIdentifier

_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_FOR_CLIENTS: Final = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})
#: Texts whose certificates are kept as they were read: those of roles.
_KEPT: Final = 256
#: Tags of texts in ASN.1 (X.680, section 8), and how their bytes are read.
_TEXTS: Final = {0x0C: "utf-8", 0x12: "ascii", 0x13: "ascii", 0x14: "utf-8", 0x16: "ascii", 0x1E: "utf-16-be"}


@functools.lru_cache(maxsize=_KEPT)
def certificates_in(pem: str) -> tuple[x509.Certificate, ...]:
    """Return all certificates of a text in PEM. Raises InvalidRequest for one that is none."""
    if _BEGIN not in pem:
        return ()
    with untrusted("failed to parse certificate"):
        found = tuple(x509.load_pem_x509_certificates(pem.encode()))
        for each in found:
            _read_all(each)  # what cannot be read is told now, and not at a login
    return found


def read_shown(der: bytes) -> x509.Certificate:
    """Return a certificate that a client has shown. Raises InvalidRequest."""
    with untrusted("the client's certificate cannot be read"):
        found = x509.load_der_x509_certificate(der)
        _read_all(found)
    return found


def _read_all(certificate: x509.Certificate) -> None:
    """Read what the library reads when it is asked for: whoever asks later need not expect that it cannot.

    Raises what the library raises.
    """
    for said in (certificate.subject, certificate.issuer):
        tuple(said)
    texts_of_extensions(certificate)
    is_authority(certificate)
    _ = (certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate.serial_number)
    _ = certificate.signature_hash_algorithm


def extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    """Return what an extension says, if it is there."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def is_authority(certificate: x509.Certificate) -> bool:
    """Tell whether others may come from it."""
    basic = extension(certificate, x509.BasicConstraints)
    usage = extension(certificate, x509.KeyUsage)
    return basic is not None and basic.ca and (usage is None or usage.key_cert_sign)


def serves_clients(certificate: x509.Certificate) -> bool:
    """Tell whether it, or what comes from it, may prove who a client is."""
    usages = extension(certificate, x509.ExtendedKeyUsage)
    return usages is None or not _FOR_CLIENTS.isdisjoint(usages)


def common_name(certificate: x509.Certificate) -> str:
    """Return the last common name of the subject; empty without one."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return _text(found[-1].value) if found else ""


def organizational_units(certificate: x509.Certificate) -> list[str]:
    """Return those of the subject."""
    found = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    return [_text(each.value) for each in found]


def alternative_names(certificate: x509.Certificate, kind: type[Name]) -> list[str]:
    """Return names of a kind that the certificate is for, beside its subject."""
    names = extension(certificate, x509.SubjectAlternativeName)
    return [] if names is None else [str(each) for each in names.get_values_for_type(kind)]


def key_id(certificate: x509.Certificate) -> str:
    """Return the identifier of its key, in hexadecimal with colons; empty without one."""
    found = extension(certificate, x509.SubjectKeyIdentifier)
    return "" if found is None else found.digest.hex(":")


def issuer_key_id(certificate: x509.Certificate) -> str:
    """Return the identifier of the key that signed it, likewise."""
    found = extension(certificate, x509.AuthorityKeyIdentifier)
    return "" if found is None or found.key_identifier is None else found.key_identifier.hex(":")


def der(certificate: x509.Certificate) -> bytes:
    """Return its bytes."""
    return certificate.public_bytes(Encoding.DER)


def texts_of_extensions(certificate: x509.Certificate) -> dict[str, str | None]:
    """Return the text that each extension holds, by its object identifier; None of one that holds no text."""
    return {each.oid.dotted_string: text_in(each.value.public_bytes()) for each in certificate.extensions}


def text_in(value: bytes) -> str | None:
    """Return the text that begins a value in DER; None for what is no text."""
    if len(value) < 2 or value[0] not in _TEXTS:
        return None
    length, start = value[1], 2
    if length >= 0x80:
        size = length & 0x7F
        if not 1 <= size <= 3 or len(value) < 2 + size:
            return None
        length, start = int.from_bytes(value[2 : 2 + size], "big"), 2 + size
    if len(value) < start + length:
        return None
    try:
        return value[start : start + length].decode(_TEXTS[value[0]])
    except UnicodeDecodeError:
        return None


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
