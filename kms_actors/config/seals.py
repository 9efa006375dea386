"""Who keeps the master key in place of the cluster's operators: what a node needs to reach it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from msgspec import Meta

from kms_actors.config.section import Section

SealType = Literal["shamir", "static", "transit", "pkcs11"]

#: Where a path of an API, or the label of a key, cannot go wrong.
_NAME: Final = Meta(pattern=r"^[^\x00-\x1f\x7f]{1,128}$", extra={"allowed": "1 to 128 printable characters"})
_Url = Annotated[
    str,
    Meta(pattern=r"^https?://[^\s/?#@]+$", extra={"allowed": "a URL such as `https://vault.example.com:8200`"}),
]
_Path = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*/?$",
        extra={"allowed": "a path such as `transit/`"},
    ),
]


class TransitSeal(Section, frozen=True, kw_only=True):
    """A key of the secrets engine Transit on another server: this one, OpenBao or Vault."""

    addresses: Annotated[
        tuple[_Url, ...],
        Meta(min_length=1, max_length=16, description="URLs of the server, tried one after the other"),
    ]
    mount_path: Annotated[_Path, Meta(description="path of the secrets engine")] = "transit/"
    key_name: Annotated[
        str,
        Meta(
            pattern=r"^\w(([\w.-]+)?\w)?$",
            extra={"allowed": "letters, digits, `_`, and within `.` and `-`"},
            description="name of the key",
        ),
    ]
    token: Annotated[
        str | None, Meta(description="token that may encrypt and decrypt by the key; a file keeps it better")
    ] = None
    token_file: Annotated[str | None, Meta(description="file with the token, read anew for each use")] = None
    token_credential: Annotated[
        str | None, Meta(description="name of the systemd credential with the token, read anew for each use")
    ] = None
    disable_renewal: Annotated[bool, Meta(description="leave renewing the token to somebody else")] = False
    namespace: Annotated[str | None, Meta(description="namespace of the server in which the mount is")] = None
    ca_file: Annotated[
        str | None, Meta(description="CA certificates to trust, PEM; without it those of the system")
    ] = None
    client_certificate_file: Annotated[
        str | None, Meta(description="certificate to show to the server, with its chain, PEM")
    ] = None
    client_private_key_file: Annotated[str | None, Meta(description="its private key, PEM")] = None
    server_name: Annotated[
        str | None, Meta(description="name to look for in the server's certificate, in place of the URL's host")
    ] = None

    def __repr__(self) -> str:
        return f"<TransitSeal {self.key_name}>"  # without the token


class Pkcs11Seal(Section, frozen=True, kw_only=True):
    """An AES key in an HSM."""

    library: Annotated[str, Meta(description="PKCS #11 library of the HSM's maker")]
    token_label: Annotated[
        Annotated[str, _NAME] | None, Meta(description="label of the token; this or `slot` is needed")
    ] = None
    slot: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="number of the slot, in place of `token_label`")
    ] = None
    pin_file: Annotated[str | None, Meta(description="file with the user's PIN, read anew for each use")] = None
    pin_credential: Annotated[
        str | None, Meta(description="name of the systemd credential with the PIN, read anew for each use")
    ] = None
    key_label: Annotated[Annotated[str, _NAME], Meta(description="label (`CKA_LABEL`) of the AES key")]
    key_id: Annotated[
        Annotated[str, Meta(pattern=r"^([0-9a-f]{2}){1,64}$", extra={"allowed": "1 to 64 bytes in hex"})] | None,
        Meta(description="its id (`CKA_ID`), where several keys have that label"),
    ] = None


def one_of(prefix: str, section: Section, *names: str) -> Iterator[str]:
    """Tell if not exactly one of these keys is there."""
    if sum(getattr(section, name) is not None for name in names) != 1:
        yield f"key `{prefix}{names[0]}`: needed, or one of " + ", ".join(f"`{prefix}{name}`" for name in names[1:])


def transit_problems(prefix: str, seal: TransitSeal) -> Iterator[str]:
    """Tell which keys of it do not fit each other."""
    yield from one_of(prefix, seal, "token", "token_file", "token_credential")
    if (seal.client_certificate_file is None) != (seal.client_private_key_file is None):
        yield f"key `{prefix}client_private_key_file`: needed with, and only with, `{prefix}client_certificate_file`"


def pkcs11_problems(prefix: str, seal: Pkcs11Seal) -> Iterator[str]:
    """Tell which keys of it do not fit each other."""
    yield from one_of(prefix, seal, "token_label", "slot")
    yield from one_of(prefix, seal, "pin_file", "pin_credential")
