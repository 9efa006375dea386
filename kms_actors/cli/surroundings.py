"""What clients of the API take from the environment: the names and meanings are those of Vault's own command line."""

from __future__ import annotations

import os
import ssl
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult

import click

from kms_actors.cli.over_unix import UnixConnection
from kms_actors.durations import parse_duration
from kms_actors.errors import InvalidRequest
from kms_actors.secret import SecretBytes
from kms_actors.small_files import read_small
from kms_actors.system_errors import in_words

ADDRESS: Final = "VAULT_ADDR"
TOKEN: Final = "VAULT_TOKEN"  # noqa: S105 - a name, not a token
NAMESPACE: Final = "VAULT_NAMESPACE"
CERTIFICATES: Final = "VAULT_CACERT"
FOLDER: Final = "VAULT_CAPATH"
CLIENT: Final = "VAULT_CLIENT_CERT"
CLIENT_KEY: Final = "VAULT_CLIENT_KEY"
SERVER: Final = "VAULT_TLS_SERVER_NAME"
UNVERIFIED: Final = "VAULT_SKIP_VERIFY"
TIMEOUT: Final = "VAULT_CLIENT_TIMEOUT"

#: Where a command keeps the form of output that it was asked for, if it was.
FORM: Final = "kms_actors.form"
#: Where `vault login` leaves a token, below the home of the user.
TOKEN_FILE: Final = ".vault-token"  # noqa: S105 - likewise

_TIMEOUT: Final = 60.0
_TRUE: Final = frozenset({"1", "t", "true"})
_FALSE: Final = frozenset({"", "0", "f", "false"})


def token_from(file: Path | None, variable: str = TOKEN, option: str = "--token-file") -> SecretBytes:
    """Return the token of a file, or of the environment; for `TOKEN`, also that of the last login.

    Raises:
        InvalidRequest: there is none.

    """
    of_login = variable == TOKEN
    text = os.environ.get(variable, "") if file is None else _text(file)
    if file is None and not text and of_login:
        text = _of_login()
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable():
        if file is not None:
            raise InvalidRequest(f"{file}: there is no token in it ({option})")
        login = "; `vault login` leaves one, too" if of_login else ""
        raise InvalidRequest(f"no token: set {variable}, or give {option}{login}")
    return SecretBytes(token.encode("ascii"))


def connection(parts: SplitResult, seconds: float | None = None, *, own: bool = True) -> HTTPConnection:
    """Return a connection that is not made yet. It trusts the system's authorities, or those of the environment.

    What else the environment says is of the server at VAULT_ADDR: it is heeded for `own` alone.
    """
    host, seconds = parts.hostname or "", timeout() if seconds is None else seconds
    if parts.scheme == "unix":
        return UnixConnection(parts.path, seconds)
    if parts.scheme == "http":
        return HTTPConnection(host, parts.port, timeout=seconds)
    context = _trusting()
    if not own:
        return HTTPSConnection(host, parts.port, timeout=seconds, context=context)
    _prove(context)
    return _SecureConnection(host, parts.port, timeout=seconds, context=context)


def headers() -> dict[str, str]:
    """Return the headers that the environment asks for."""
    return in_namespace(os.environ.get(NAMESPACE, ""), NAMESPACE)


def in_namespace(name: str, given: str) -> dict[str, str]:
    """Return the header that names a namespace, if there is a name. InvalidRequest says by what it was `given`."""
    namespace = name.strip("/")
    if not namespace.isascii() or not namespace.isprintable():
        raise InvalidRequest(f"{given} is not the id of a vault, or the path of a namespace")
    return {"X-Vault-Namespace": namespace} if namespace else {}


def timeout() -> float:
    """Return how many seconds an answer is waited for."""
    text = os.environ.get(TIMEOUT, "")
    nanoseconds = parse_duration(f"{text}s" if text.isdecimal() else text) if text else round(_TIMEOUT * 1e9)
    if nanoseconds is None or nanoseconds <= 0:
        raise InvalidRequest(f"{TIMEOUT} is no duration like 60s")
    return nanoseconds / 1e9


class _SecureConnection(HTTPSConnection):
    """Asks for the certificate of another name, where the environment says so."""

    def connect(self) -> None:
        name = os.environ.get(SERVER)
        if not name:
            super().connect()
            return
        HTTPConnection.connect(self)
        self.sock = self._context.wrap_socket(self.sock, server_hostname=name)  # type: ignore[attr-defined]


def _trusting() -> ssl.SSLContext:
    """Return a context that trusts whom the environment says, in a file or, without one, in the files of a folder."""
    file, folder = os.environ.get(CERTIFICATES), os.environ.get(FOLDER)
    if not file and not folder:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if file:
        if not _trusted(context, CERTIFICATES, Path(file)):
            raise InvalidRequest(f"{CERTIFICATES}: {file} holds no certificates in PEM")
        return context
    # OpenSSL itself would look for those alone that are called by their hashes. Other files may lie among them.
    paths = sorted(path for path in Path(folder or "").rglob("*") if path.is_file())
    trusted = [_trusted(context, FOLDER, path) for path in paths]
    if not any(trusted):
        raise InvalidRequest(f"{FOLDER}: {folder} is no folder with certificates in PEM")
    return context


def _trusted(context: ssl.SSLContext, variable: str, path: Path) -> bool:
    """Have a context trust the certificates in a file; tell whether there are any."""
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        return False
    except OSError as error:
        raise InvalidRequest(f"{variable}: {path} cannot be read: {in_words(error)}") from None
    return True


def _prove(context: ssl.SSLContext) -> None:
    """Have a context show the client's certificate, and look at that of the server, as the environment says."""
    own, key = os.environ.get(CLIENT) or None, os.environ.get(CLIENT_KEY) or None
    if (own is None) != (key is None):
        raise InvalidRequest(f"{CLIENT} and {CLIENT_KEY} go together")
    if own is not None:
        try:
            context.load_cert_chain(own, key)
        except ssl.SSLError:
            raise InvalidRequest(f"{CLIENT}, {CLIENT_KEY}: {own} and {key} are no certificate and its key") from None
        except OSError as error:
            raise InvalidRequest(f"{CLIENT}, {CLIENT_KEY}: {own}, {key}: {in_words(error)}") from None
    if _flag(UNVERIFIED):
        warn(f"{UNVERIFIED} is set: anybody in between can read the token")
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE


def warn(text: str, *, programs: bool = True) -> None:
    """Say something once a command, also to `programs` that asked for another form than words.

    Further threads of a command have no context, and say nothing.
    """
    context = click.get_current_context(silent=True)
    if context is None or (FORM in context.meta and not programs):
        return
    if context.meta.setdefault(f"{__name__}.{text}", True) is True:
        context.meta[f"{__name__}.{text}"] = False
        click.echo(text, err=True)


def _flag(name: str) -> bool:
    text = os.environ.get(name, "").lower()
    if text not in _TRUE | _FALSE:
        raise InvalidRequest(f"{name} is true or false")
    return text in _TRUE


def _of_login() -> str:
    """Return the token that `vault login` has left, if it has."""
    try:
        kept = Path.home() / TOKEN_FILE
    except RuntimeError:  # a user without a home, as in containers
        return ""
    return _text(kept) if kept.is_file() else ""


def _text(file: Path) -> str:
    return read_small(file).decode(errors="replace")
