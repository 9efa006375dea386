"""Certificates and keys of listeners: read and tried, then given to all processes, which read no file for them.

So all of a node's processes have the same ones, whatever is written to the files meanwhile, and a pair that cannot be
used takes nothing away.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kms_actors.config import Configuration, SettingError, Tls
from kms_actors.system_errors import in_words
from kms_http.wire import tls
from kms_http.wire.tls import Pair, ReloadableContext, Rules, Wraps

METRICS: Final = "metrics."

_log = structlog.get_logger("kms_actors")


class Material(msgspec.Struct, frozen=True, array_like=True):
    """What the files of one table of TLS hold, PEM. It shows nothing: there is a key among it."""

    certificates: bytes
    private_key: bytes
    authorities: bytes = b""

    def __repr__(self) -> str:
        return "<Material>"


#: By what the keys of the table begin with in the file, less `tls.`.
Materials = Mapping[str, Material]


def tables(configuration: Configuration) -> dict[str, Tls]:
    """Return all tables of TLS, by what their keys begin with, less `tls.`."""
    found = {prefix: listener.tls for prefix, listener in configuration.keyed_listeners if listener.tls is not None}
    return found | ({METRICS: configuration.metrics.tls} if configuration.metrics.tls is not None else {})


def read_all(configuration: Configuration) -> dict[str, Material]:
    """Return what all files hold, every pair tried. Raises SettingError, which names file and key."""
    return {prefix: read(prefix, settings) for prefix, settings in tables(configuration).items()}


def read_anew(configuration: Configuration, before: Materials) -> dict[str, Material]:
    """Return what the files hold now; where they cannot be used, what they held before, as the log says."""
    found = dict(before)
    for prefix, settings in tables(configuration).items():
        try:
            found[prefix] = read(prefix, settings)
        except SettingError as error:
            _log.error("certificates cannot be used; those before go on", reason=str(error))
        else:
            changed = found[prefix] != before.get(prefix)
            _log.info("certificates read", key=f"{prefix}tls", changed=changed)
    return found


def read(prefix: str, settings: Tls) -> Material:
    """Return what the files of one table hold.

    Raises:
        SettingError: a file that cannot be read, holds nothing of use, or a key of another certificate.

    """
    certificate, private_key = Path(settings.certificate_file), Path(settings.private_key_file)
    keys = {name: f"{prefix}tls.{name}" for name in ("certificate_file", "private_key_file", "client_ca_file")}
    material = Material(
        _certificates(keys["certificate_file"], certificate),
        _private_key(keys["private_key_file"], private_key),
        _certificates(keys["client_ca_file"], Path(settings.client_ca_file)) if settings.client_ca_file else b"",
    )
    try:
        wrapping(settings, material)
    except (ssl.SSLError, ValueError, UnsupportedAlgorithm):
        if not _fits(material):
            raise SettingError(keys["private_key_file"], f"{private_key} is not the key of {certificate}") from None
        # As keys of RSA of 1,024 bits, or signatures by SHA-1, which OpenSSL refuses by itself.
        reason = f"{certificate} holds what no TLS takes: a key that is too short, or an algorithm that is not safe"
        raise SettingError(keys["certificate_file"], reason) from None
    return material


def contexts(configuration: Configuration, materials: Materials) -> dict[str, ReloadableContext]:
    """Return the contexts of all tables."""
    found = tables(configuration)
    return {prefix: ReloadableContext(wrapping(found[prefix], material)) for prefix, material in materials.items()}


def renew(configuration: Configuration, existing: Mapping[str, ReloadableContext], materials: Materials) -> None:
    """Have new connections wrapped by what `materials` hold; those there are go on."""
    found = tables(configuration)
    made = {prefix: wrapping(found[prefix], materials[prefix]) for prefix in existing}
    for prefix, context in existing.items():
        context.current = made[prefix]


def wrapping(settings: Tls, material: Material) -> Wraps:
    """Return what wraps connections. Raises ssl.SSLError where certificate and key do not fit."""
    return tls.wrapping(Pair(material.certificates, material.private_key), rules(settings, material))


def rules(settings: Tls, material: Material) -> Rules:
    """Return how TLS is spoken by one table."""
    return Rules(
        settings.min_version,
        settings.max_version,
        asks=settings.client_certificates != "none",
        requires=settings.client_certificates == "require",
        authorities=material.authorities,
        post_quantum=settings.post_quantum,
    )


class Secured:
    """TLS of this process, and what it is made of for others. Raises SettingError for files of no use."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self.materials: Materials = read_all(configuration)
        self.contexts: Final = contexts(configuration, self.materials)

    def read_anew(self) -> None:
        """Read all files; new connections are wrapped by what can be used of them."""
        self.materials = read_anew(self._configuration, self.materials)
        renew(self._configuration, self.contexts, self.materials)

    def log(self) -> None:
        """Tell where TLS is spoken, and how."""
        found = tables(self._configuration)
        _log.info("tls", enabled=any(prefix != METRICS for prefix in found))
        for prefix, settings in found.items():
            wraps = self.contexts[prefix].current
            _log.info(
                "tls",
                key=f"{prefix}tls",
                versions=_span(settings.min_version, settings.max_version),
                post_quantum=tls.offers_post_quantum(wraps, rules(settings, self.materials[prefix])),
                client_certificates=settings.client_certificates,
            )


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def _fits(material: Material) -> bool:
    """Tell whether the private key is that of the first certificate, or of one whose key is of no known kind."""
    private = load_pem_private_key(material.private_key, None)
    try:
        shown = x509.load_pem_x509_certificates(material.certificates)[0].public_key()
    except (ValueError, UnsupportedAlgorithm):
        return True
    return bool(shown == private.public_key())


def _certificates(key: str, path: Path) -> bytes:
    content = _content(key, path)
    try:
        x509.load_pem_x509_certificates(content)
    except ValueError:
        raise SettingError(key, f"{path} holds no certificate in PEM") from None
    return content


def _private_key(key: str, path: Path) -> bytes:
    content = _content(key, path)
    try:
        load_pem_private_key(content, None)
    except (ValueError, TypeError):  # the second: it wants a passphrase
        raise SettingError(key, f"{path} holds no private key in PEM without a passphrase") from None
    except UnsupportedAlgorithm:
        raise SettingError(key, f"{path} holds a private key of a kind that no TLS takes") from None
    return content


def _content(key: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingError(key, f"{path}: {in_words(error)}") from None


def of_keys(materials: Materials, prefixes: Iterable[str]) -> dict[str, Material]:
    """Return those of some tables."""
    return {prefix: materials[prefix] for prefix in prefixes if prefix in materials}
