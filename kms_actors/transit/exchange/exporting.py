"""Key material given out: as what, in which form, for which versions. Every way out of the engine is here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from kms_actors.errors import InvalidRequest, UnknownVersion
from kms_actors.transit.ciphertext import parse_int64
from kms_actors.transit.exchange.certificates import show_chain
from kms_actors.transit.exchange.importing import (
    check_importable,
    target_of,
)
from kms_actors.transit.exchange.wrapping import (
    DEFAULT_HASH,
    check_hash,
    wrap,
)
from kms_actors.transit.go_base64 import encode
from kms_actors.transit.key import (
    SOFT_DELETED,
    TransitKey,
)
from kms_actors.transit.schemes.rsa import Rsa
from kms_actors.transit.schemes.scheme import (
    pkcs8,
    subject_public_key_info,
)
from kms_actors.transit.version import Version

#: Forms of exported material; the first, empty one is Vault's.
FORMATS: Final = ("", "raw", "der", "pem")

#: The material of one version in a form.
_Exporter: TypeAlias = Callable[[TransitKey, Version, str], str]


def export(key: TransitKey, kind: str, version: str = "", form: str = "") -> Mapping[int, str]:
    """Return what is exported of each version asked for: all (empty), `latest`, or one by its number or `v` number.

    Raises:
        InvalidRequest: the key may not be exported, has nothing of this kind, or not in this form.

    """
    check_request(kind, form)
    if kind not in _PUBLIC_KINDS and not key.policy.exportable:
        raise InvalidRequest("private key material is not exportable")
    key.check_usable()
    _check_kind(key, kind)
    exporter = _KINDS[kind]
    return {chosen.number: exporter(key, chosen, form) for chosen in _chosen(key, version)}


def export_wrapped(
    key: TransitKey, destination: TransitKey, version: str = "", hash_function: str = DEFAULT_HASH
) -> Mapping[int, str]:
    """Return each version asked for as another server imports it, if it has the private half of `destination`.

    Raises:
        InvalidRequest: the key may not be exported, or `destination` is not one to wrap under.

    """
    if not key.policy.exportable:
        raise InvalidRequest("key is not exportable")
    if key.policy.soft_deleted:
        raise InvalidRequest(f"for source key: {SOFT_DELETED}")
    check_importable(key.type)
    chosen = _chosen(key, version)
    check_hash(hash_function)
    if not destination.type.signing:
        raise InvalidRequest(f"message signing not supported for key type {destination.type.name}")
    if not isinstance(destination.scheme, Rsa):
        raise InvalidRequest("unsupported key type in use; must be a rsa key")
    public = destination.latest.public
    return {each.number: encode(wrap(public, target_of(key.policy, each.record), hash_function)) for each in chosen}


def check_request(kind: str, form: str) -> None:
    """Raise InvalidRequest for kinds and forms that do not exist."""
    if kind not in _KINDS:
        raise InvalidRequest(f"invalid export type: {kind}")
    if form not in FORMATS:
        raise InvalidRequest(f"invalid format: {form}")


def _check_kind(key: TransitKey, kind: str) -> None:
    """Raise InvalidRequest unless keys of this type have such material."""
    key_type = key.type
    if kind == "encryption-key" and not key_type.encryption:
        raise InvalidRequest("encryption not supported for the key")
    if kind == "signing-key" and not key_type.signing:
        raise InvalidRequest("signing not supported for the key")
    if kind == "hmac-key" and not key_type.hmac:
        raise InvalidRequest("HMAC not supported for the key")
    if kind == "cmac-key" and not key_type.cmac:
        raise InvalidRequest("CMAC not supported for the key")
    if kind == "certificate-chain" and not key_type.signing:
        raise InvalidRequest("certificate chain not supported for keys that do not support signing")
    if kind == "public-key" and key.policy.derived and key_type.schemes:
        # It is half of what the keys of all contexts are derived from.
        raise InvalidRequest("public-key export is not supported for keys with derivation enabled")


def _chosen(key: TransitKey, version: str) -> Sequence[Version]:
    if not version:
        return key.versions()
    if version == "latest":
        return [key.latest]
    number = parse_int64(version.removeprefix("v"))
    if number is None:
        raise InvalidRequest("invalid key version")
    if number < key.policy.min_decryption_version:
        raise InvalidRequest("version for export is below minimum decryption version")
    if number > key.policy.latest_version:
        raise UnknownVersion("version does not exist or cannot be found")
    return [key.version(number)]


def _own_key(key: TransitKey, version: Version, form: str) -> str:
    return _private(key, version, form) if key.scheme else _raw(version.record.key, form)


def _hmac_key(key: TransitKey, version: Version, form: str) -> str:
    return _raw(version.record.key if key.type.hmac_by_key else version.record.hmac_key, form)


def _raw(secret: bytes, form: str) -> str:
    if form not in _BARE:
        raise InvalidRequest("unknown format for HMAC key; supported values are `` or `raw`")
    return encode(secret)


def _private(key: TransitKey, version: Version, form: str) -> str:
    assert key.scheme is not None
    family = _refuse_raw(key, form)
    private = version.private
    if private is None:
        return ""
    parts = key.scheme.parts(private)
    if form == "der":
        return encode(b"".join(pkcs8(part) for part in parts))
    if key.scheme.bare and form in _BARE:
        return encode(version.record.key)
    traditional = not form and family in ("rsa", "ec")
    layout = PrivateFormat.TraditionalOpenSSL if traditional else PrivateFormat.PKCS8
    return _ended(family, "".join(_private_pem(part, layout) for part in parts))


def _public(key: TransitKey, version: Version, form: str) -> str:
    if key.scheme is None:
        raise InvalidRequest(f"unknown key type {key.type.name} for export type public-key")
    family = _refuse_raw(key, form)
    public = version.public
    parts = public if isinstance(public, tuple) else (public,)
    if form == "der":
        return encode(b"".join(subject_public_key_info(part) for part in parts))
    if key.scheme.bare and form in _BARE:
        return key.scheme.show(version.record.public_key)
    return _ended(family, "".join(_public_pem(part) for part in parts))


def _certificate_chain(_: TransitKey, version: Version, __: str) -> str:
    if not version.record.certificate_chain:
        raise InvalidRequest("selected key version does not have a certificate chain imported")
    return show_chain(version.record.certificate_chain)


def _refuse_raw(key: TransitKey, form: str) -> str:
    assert key.scheme is not None
    family = key.scheme.family
    if form == "raw" and not key.scheme.bare:
        raise InvalidRequest(f"unknown key format for {family} key; supported values are ``, `der`, or `pem`")
    return family


def _private_pem(private: Any, layout: PrivateFormat) -> str:
    text: str = private.private_bytes(Encoding.PEM, layout, NoEncryption()).decode("ascii")
    return text


def _public_pem(public: Any) -> str:
    text: str = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
    return text


def _ended(family: str, pem: str) -> str:
    """Return PEM with its last line end where the API has one: for RSA."""
    return pem if family == "rsa" else pem.rstrip("\n")


#: Forms of keys that are bytes without a structure.
_BARE: Final = ("", "raw")
_PUBLIC_KINDS: Final = frozenset({"public-key", "certificate-chain"})
_KINDS: Final[Mapping[str, _Exporter]] = {
    "encryption-key": _own_key,
    "signing-key": _own_key,
    "hmac-key": _hmac_key,
    "cmac-key": _own_key,
    "public-key": _public,
    "certificate-chain": _certificate_chain,
}
