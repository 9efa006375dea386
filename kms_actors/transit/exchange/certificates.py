"""X.509 for keys: certificate signing requests (RFC 2986) by a version, and the chain that a version was given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from kms_actors.errors import InvalidRequest
from kms_actors.transit.key import (
    NO_SUCH_VERSION,
    TransitKey,
)
from kms_actors.transit.key_types import KEY_TYPES
from kms_actors.transit.records import (
    KeyPolicy,
    VersionRecord,
)
from kms_actors.transit.schemes.scheme import pem, subject_public_key_info
from kms_actors.untrusted import untrusted

#: What signs a request, by the families of schemes; on curves it is as wide as the curve.
_HASHES: Final[Mapping[str, HashAlgorithm | None]] = {
    "P-256": SHA256(),
    "P-384": SHA384(),
    "P-521": SHA512(),
    "ed25519": None,
    "rsa-2048": SHA256(),
    "rsa-3072": SHA256(),
    "rsa-4096": SHA256(),
    **dict.fromkeys(("mldsa-44", "mldsa-65", "mldsa-87"), None),
}
_ALGORITHMS: Final[tuple[tuple[Any, str, str], ...]] = (
    (ec.EllipticCurvePublicKey, "ECDSA", "ecdsa-"),
    (rsa.RSAPublicKey, "RSA", "rsa-"),
    (ed25519.Ed25519PublicKey, "Ed25519", "ed25519"),
    ((mldsa.MLDSA44PublicKey, mldsa.MLDSA65PublicKey, mldsa.MLDSA87PublicKey), "ML-DSA", "mldsa-"),
)
_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s[^-]*-----END \1-----", re.ASCII)
_NO_PEM: Final = "could not decode a PEM block in the certificate chain"
_BAD_TEMPLATE: Final = "could not parse the CSR that was given"
_MALFORMED: Final = "could not parse a certificate in the certificate chain: x509: malformed certificate"
#: Bytes of a chain, and of a template, in PEM; certificates of a chain.
MOST_PEM: Final = 256 * 1024
MOST_CERTIFICATES: Final = 64


class Chain(NamedTuple):
    """Certificates (DER), and what was read of them."""

    certificates: tuple[bytes, ...]
    authorities: tuple[bool, ...]  # which of them are of authorities
    algorithm: str  # of the first one's public key
    prefix: str  # that of the types of keys with this algorithm
    public_key: bytes  # of the first one: SubjectPublicKeyInfo (DER)


def check_certifiable(policy: KeyPolicy) -> None:
    """Raise InvalidRequest unless keys like this one can stand in certificates."""
    key_type = KEY_TYPES[policy.type]
    if not key_type.signing:
        raise InvalidRequest(f"key type '{policy.type}' does not support signing")
    if policy.derived:
        raise InvalidRequest("operation not supported for keys with derivation enabled")
    if _hash_name(policy) not in _HASHES:
        raise InvalidRequest(f"certificates are not supported for key type {policy.type}")


def signing_request(key: TransitKey, number: int = 0, template: str = "") -> str:
    """Return the PEM of a request for a version (0: the latest), with subject and extensions of a template (PEM)."""
    check_certifiable(key.policy)
    key.check_usable()
    builder = _builder(template)
    try:
        version = key.version(number) if number else key.latest
    except InvalidRequest as error:
        raise InvalidRequest(f"could not create the csr: {error}") from None
    if version.private is None:
        raise InvalidRequest("could not create the csr: private key not imported for key version selected")
    assert key.scheme is not None
    (private,) = key.scheme.parts(version.private)
    with untrusted(_BAD_TEMPLATE):  # what was taken of the template is encoded anew
        made = builder.sign(private, _HASHES[_hash_name(key.policy)])  # type: ignore[arg-type]
        return made.public_bytes(Encoding.PEM).decode("ascii")


def parse_chain(text: str) -> Chain:
    """Return the certificates of a PEM, in order; other blocks, and text before a block, are passed over."""
    if len(text) > MOST_PEM:
        raise InvalidRequest(f"the certificate chain must be at most {MOST_PEM} bytes of PEM")
    blocks = list(_BLOCK.finditer(text))
    if text[blocks[-1].end() if blocks else 0 :].strip():
        raise InvalidRequest(_NO_PEM)
    with untrusted(_MALFORMED):
        loaded = [x509.load_pem_x509_certificate(b[0].encode("ascii")) for b in blocks if b[1] == "CERTIFICATE"]
    if not loaded:
        raise InvalidRequest("provided certificate chain did not contain any valid PEM encoded certificate")
    return _chain(loaded)


def read_chain(ders: Sequence[bytes]) -> Chain:
    """Return a chain that stands as DER, as in backups."""
    with untrusted(_MALFORMED):
        loaded = [x509.load_der_x509_certificate(der) for der in ders[: MOST_CERTIFICATES + 1]]
    return _chain(loaded)


def certified(policy: KeyPolicy, version: VersionRecord | None, chain: Chain) -> VersionRecord:
    """Return a version with its chain: the certificate of its own public key first, an authority's last."""
    _check_order(chain.authorities)
    if version is None:
        raise _refused(NO_SUCH_VERSION)
    if not policy.type.startswith(chain.prefix):
        raise _refused(
            "could not validate key match between leaf certificate key and key entry in transit: provided leaf "
            f"certificate public key algorithm '{chain.algorithm}' does not match the transit key type "
            f"'{policy.type}'"
        )
    if chain.public_key != version.public_key:
        raise _refused("leaf certificate public key does not match the selected key version")
    return msgspec.structs.replace(version, certificate_chain=chain.certificates)


def show_chain(chain: Sequence[bytes]) -> str:
    """Return the PEM of a chain, without its last line end; empty for none."""
    return "".join(pem(der, "CERTIFICATE") for der in chain).rstrip("\n")


def _chain(loaded: Sequence[x509.Certificate]) -> Chain:
    if len(loaded) > MOST_CERTIFICATES:
        raise InvalidRequest(f"the certificate chain must hold at most {MOST_CERTIFICATES} certificates")
    with untrusted(_MALFORMED):
        public: Any = loaded[0].public_key()
        found = ((algorithm, prefix) for kind, algorithm, prefix in _ALGORITHMS if isinstance(public, kind))
        algorithm, prefix = next(found, ("unknown", " "))
        return Chain(
            tuple(certificate.public_bytes(Encoding.DER) for certificate in loaded),
            tuple(_is_authority(certificate) for certificate in loaded),
            algorithm,
            prefix,
            subject_public_key_info(public),
        )


def _builder(template: str) -> x509.CertificateSigningRequestBuilder:
    builder = x509.CertificateSigningRequestBuilder()
    if not template:
        return builder.subject_name(x509.Name([]))
    if len(template) > MOST_PEM:
        raise InvalidRequest(f"the CSR must be at most {MOST_PEM} bytes of PEM")
    if _BLOCK.search(template) is None:
        raise InvalidRequest("could not decode PEM CSR")
    with untrusted(_BAD_TEMPLATE):
        given = x509.load_pem_x509_csr(template.encode("utf-8", "surrogatepass"))
        builder = builder.subject_name(given.subject)
        for extension in given.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
    return builder


def _hash_name(policy: KeyPolicy) -> str:
    return next(iter(KEY_TYPES[policy.type].schemes.values())).name


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _check_order(authorities: Sequence[bool]) -> None:
    if authorities[0]:
        raise _refused("certificate in the first element is not a valid leaf certificate")
    if len(authorities) > 1 and not authorities[-1]:
        raise _refused("certificate in the last element is not a valid CA certificate")
    if authorities.count(False) > 1:
        raise _refused("could not validate if there is only one leaf certificate in the provided chain")


def _refused(text: str) -> InvalidRequest:
    return InvalidRequest(f"failed to persist certificate chain: {text}")
