"""What the server tells of a device: the checkpoints of its logs, and the HMAC of a value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from kms_actors.cli.sender import RequestFailed, Sender, refusal
from kms_actors.cli.surroundings import token_from
from kms_actors.secret import SecretBytes


class ServerFailed(click.ClickException):
    """The server was not reached, or refuses."""

    exit_code = 2


class Server:
    """The API at an address. Redirects are not followed: they would take the token elsewhere."""

    def __init__(self, address: str, token: SecretBytes) -> None:
        """Raise InvalidRequest if `address` is no http(s) address."""
        self._sender = Sender(address, token, again=frozenset())  # what is asked for here is not waited for

    def checkpoints(self, device: str) -> Any:
        """Return the data of the answer of `sys/audit-checkpoint/`."""
        return self._ask("GET", f"sys/audit-checkpoint/{device.strip('/')}")

    def hmac(self, device: str, value: str) -> str:
        """Return what the device writes in the place of a value."""
        data = self._ask("POST", f"sys/audit-hash/{device.strip('/')}", {"input": value})
        return str(data["hash"])

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        try:
            status, answer = self._sender.send(method, f"{self._sender.root}{quote(path)}", content)
        except RequestFailed as failure:
            raise ServerFailed(str(failure)) from None
        finally:
            self._sender.close()
        try:
            if status == 200:
                return json.loads(answer)["data"]
        except (ValueError, LookupError, TypeError):
            raise ServerFailed("the answer is not one of this API") from None
        raise ServerFailed(f"the server answered {refusal(status, answer)}")


def server(address: str, token_file: Path | None) -> Server:
    """Return the server, with the token of a file or of the environment."""
    return Server(address, token_from(token_file))
