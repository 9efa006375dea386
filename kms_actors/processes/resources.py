"""What settings name on this machine: addresses, certificates; where it cannot be used, key and reason in words."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kms_actors.config import SettingError, Tls
from kms_actors.system_errors import in_words

_CERTIFICATE: Final = "tls.certificate_file"
_PRIVATE_KEY: Final = "tls.private_key_file"


@contextlib.contextmanager
def listening(host: str, port: int, table: str = "") -> Iterator[None]:
    """Turn the failure to listen at `host` and `port` of a table into SettingError."""
    try:
        yield
    except OSError as error:
        reason = in_words(error)
        key = f"{table}host" if "host" in reason or "address" in reason else f"{table}port"
        raise SettingError(key, f"cannot listen at {host}:{port}: {reason}") from None


def tls_context(settings: Tls | None) -> ssl.SSLContext | None:
    """Return the TLS settings of the API port, certificate and key read now; None for plain HTTP.

    Raises:
        SettingError: a file that cannot be read, holds nothing of use, or a key of another certificate.

    """
    if settings is None:
        return None
    certificate, private_key = Path(settings.certificate_file), Path(settings.private_key_file)
    try:
        x509.load_pem_x509_certificates(_read(_CERTIFICATE, certificate))
    except ValueError:
        raise SettingError(_CERTIFICATE, f"{certificate} holds no certificate in PEM") from None
    try:
        load_pem_private_key(_read(_PRIVATE_KEY, private_key), None)
    except (ValueError, TypeError):  # the second: it wants a passphrase
        raise SettingError(_PRIVATE_KEY, f"{private_key} holds no private key in PEM without a passphrase") from None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, private_key)
    except ssl.SSLError:
        raise SettingError(_PRIVATE_KEY, f"{private_key} is not the key of {certificate}") from None
    return context


def _read(key: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingError(key, f"{path}: {in_words(error)}") from None
