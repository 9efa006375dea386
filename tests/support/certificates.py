"""Certificates of a test: authorities, intermediate ones, servers and clients, with their files."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
_DAY = datetime.timedelta(days=1)
#: Key usages in the order of `x509.KeyUsage`: signatures; certificates and CRLs.
_SIGNS = (True, False, False, False, False, False, False, False, False)
_ISSUES = (True, False, False, False, False, True, True, False, False)


class Identity(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def files(self, directory: Path, name: str, *chain: Identity) -> tuple[Path, Path]:
        """Write certificate, with those it comes from, and key; return the paths."""
        paths = directory / f"{name}.pem", directory / f"{name}.key"
        paths[0].write_text(self.pem + "".join(each.pem for each in chain))
        paths[1].write_text(self.key_pem)
        return paths


def make(
    name: str,
    issuer: Identity | None = None,
    *,
    ca: bool = False,
    path_length: int | None = None,
    names: Sequence[x509.GeneralName] = (),
    units: Sequence[str] = (),
    usages: Sequence[x509.ObjectIdentifier] = (),
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    key: Key | None = None,
    serial: int | None = None,
    begin: datetime.datetime | None = None,
    end: datetime.datetime | None = None,
) -> Identity:
    """Make a certificate; without an issuer it signs itself."""
    own = key or ec.generate_private_key(ec.SECP256R1())
    signer = issuer.key if issuer is not None else own
    attributes = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
    subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer is not None else subject)
        .public_key(own.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(begin or now - _DAY)
        .not_valid_after(end or now + _DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca, path_length), critical=True)
        .add_extension(x509.KeyUsage(*(_ISSUES if ca else _SIGNS)), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Identity(builder.sign(signer, digest), own)


def authority(name: str = "test CA", issuer: Identity | None = None, **other: Any) -> Identity:
    """Make a certificate that others may come from."""
    return make(name, issuer, ca=True, **other)


def server(issuer: Identity | None = None) -> Identity:
    """Make the certificate of a server on this machine."""
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return make("node", issuer, names=names, usages=[ExtendedKeyUsageOID.SERVER_AUTH])


def client(name: str, issuer: Identity | None = None, **other: Any) -> Identity:
    """Make the certificate of a client."""
    return make(name, issuer, usages=[ExtendedKeyUsageOID.CLIENT_AUTH], **other)


def client_context(trusted: Identity, files: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """Return what a client speaks TLS by: trusting one certificate, showing another."""
    context = ssl.create_default_context(cadata=trusted.pem)
    if files is not None:
        context.load_cert_chain(*files)
    return context
