"""What the server tells of a device: the checkpoints of its logs, and the HMAC of a value."""

from __future__ import annotations

import json
import os
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import click

from kms_actors.errors import InvalidRequest
from kms_actors.secret import SecretBytes
from kms_actors.system_errors import in_words

_TIMEOUT: Final = 30.0
_TOKEN: Final = "VAULT_TOKEN"  # noqa: S105  # a name


class ServerFailed(click.ClickException):
    """The server was not reached, or refuses."""

    exit_code = 2


class Server:
    """The API at an address. Redirects are not followed: they would take the token elsewhere."""

    def __init__(self, address: str, token: SecretBytes) -> None:
        """Raise InvalidRequest if `address` is no http(s) address."""
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidRequest("the address is not like https://kms.example:8202")
        self._parts = parts
        self._token = token

    def checkpoints(self, device: str) -> Any:
        """Return the data of the answer of `sys/audit-checkpoint/`."""
        return self._ask("GET", f"sys/audit-checkpoint/{device.strip('/')}")

    def hmac(self, device: str, value: str) -> str:
        """Return what the device writes in the place of a value."""
        data = self._ask("POST", f"sys/audit-hash/{device.strip('/')}", {"input": value})
        return str(data["hash"])

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        connection = self._connect()
        headers = {"X-Vault-Token": self._token.reveal().decode("ascii"), "Content-Type": "application/json"}
        target = f"{self._parts.path.rstrip('/')}/v1/{quote(path)}"
        try:
            connection.request(method, target, None if body is None else json.dumps(body).encode(), headers)
            response = connection.getresponse()
            content = response.read()
        except ssl.SSLCertVerificationError as error:
            raise ServerFailed(f"the server's certificate is not trusted: {error.verify_message}") from None
        except OSError as error:
            raise ServerFailed(f"no answer from the server: {in_words(error)}") from None
        except HTTPException:
            raise ServerFailed("what answers does not speak HTTP") from None
        finally:
            connection.close()
        try:
            answer = json.loads(content)
            if response.status == 200:
                return answer["data"]
            errors = "; ".join(map(str, answer["errors"]))
        except (ValueError, LookupError, TypeError):
            errors = ""
        raise ServerFailed(f"the server answered {response.status} {errors}".strip())

    def _connect(self) -> HTTPConnection:
        host, port = self._parts.hostname, self._parts.port
        assert host is not None
        if self._parts.scheme == "http":
            return HTTPConnection(host, port, timeout=_TIMEOUT)
        context = ssl.create_default_context(cafile=os.environ.get("VAULT_CACERT") or None)
        return HTTPSConnection(host, port, timeout=_TIMEOUT, context=context)


def server(address: str, token_file: Path | None) -> Server:
    """Return the server, with the token of a file or of VAULT_TOKEN."""
    text = token_file.read_text(encoding="ascii") if token_file else os.environ.get(_TOKEN, "")
    if not text.strip():
        raise click.UsageError(f"a token is needed: in {_TOKEN}, or in a file that --token-file names")
    return Server(address, SecretBytes(text.strip().encode("ascii")))
