"""What a client needs to work with a server, looked at from where the client stands: nothing is changed by it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any, Final

import click

from kms_actors.cli.looking.findings import Finding, good, show, warning, wrong
from kms_actors.cli.manners import tells
from kms_actors.cli.sender import RequestFailed, Sender, refusal
from kms_actors.cli.surroundings import ADDRESS, NAMESPACE, token_from
from kms_actors.errors import InvalidRequest
from kms_actors.secret import SecretBytes

#: Seconds that clocks may be apart: tokens that are narrowed by time begin and end so much earlier or later.
_APART: Final = 5
#: Seconds before its end from which a token is warned of.
_SOON: Final = 3600
_OK: Final = 200


@click.command()
@click.option("--address", envvar="VAULT_ADDR", show_envvar=True, required=True, metavar="URL")
@tells(quiet="Print only what is not good.")
def doctor(*, address: str) -> None:
    """Look at all that a client needs: address, TLS, clock, seal and token, as VAULT_* and ~/.vault-token have them.

    Nothing is changed. The exit code is 1 where something is wrong.
    """
    show(look(address))


def look(address: str) -> Iterator[Finding]:
    """Yield what is found, in the order in which one thing needs another."""
    anybody = Sender(address, SecretBytes(b""), again=frozenset())
    try:
        seal = _read(anybody, "sys/seal-status")
    except RequestFailed as error:
        yield wrong("server", str(error))
        return
    finally:
        anybody.close()
    yield good("server", f"{address} answers, version {seal.get('version', '?')}")
    yield from _of_transport(address)
    yield from _of_clock(anybody)
    yield from _of_seal("server", seal)
    try:
        sender = Sender(address, token_from(None), again=frozenset())
    except InvalidRequest as error:
        yield wrong("token", str(error))
        return
    try:
        yield from _of_token(sender)
    except RequestFailed as error:
        yield wrong("token", str(error))
    finally:
        sender.close()


def _of_transport(address: str) -> Iterator[Finding]:
    if address.startswith("http://") and not address.startswith(("http://127.", "http://localhost", "http://[::1]")):
        yield warning("transport", f"{ADDRESS} is http: whoever is in between reads token and secrets")


def _of_clock(sender: Sender) -> Iterator[Finding]:
    there = sender.server_time
    if there is None:
        return
    offset = time.time() - there
    if abs(offset) > _APART:
        direction = "ahead of" if offset > 0 else "behind"
        yield warning("clock", f"this one is {abs(offset):.0f} seconds {direction} the server's")
    else:
        yield good("clock", "it agrees with the server's")


def _of_seal(whose: str, seal: dict[str, Any]) -> Iterator[Finding]:
    what = f"seal of the {whose}"
    if not seal.get("initialized", True):
        yield wrong(what, "it is not initialised: `vault operator init`")
    elif seal.get("sealed"):
        yield wrong(what, f"it is sealed: {seal.get('progress', 0)} of {seal.get('t', '?')} shares are given")
    else:
        yield good(what, "it is unsealed")


def _of_token(sender: Sender) -> Iterator[Finding]:
    namespace = os.environ.get(NAMESPACE, "")
    status, answer = sender.send("GET", f"{sender.root}sys/seal-status")
    if status == _OK:
        seal = _data(answer)
        yield from _of_seal("vault", seal)
        if seal.get("sealed"):
            return
    status, answer = sender.send("GET", f"{sender.root}auth/token/lookup-self")
    if status != _OK:
        named = f" ({NAMESPACE} is {namespace})" if namespace else ""
        yield wrong("token", f"the server refuses it: {refusal(status, answer)}{named}")
        return
    data = _data(answer)
    ttl, policies = int(data.get("ttl") or 0), ", ".join(data.get("policies") or ()) or "none"
    says = f"{data.get('display_name') or data.get('type') or 'good'}; policies: {policies}"
    if ttl and ttl < _SOON:
        yield warning("token", f"{says}; it ends in {ttl} seconds")
    elif ttl:
        yield good("token", f"{says}; it ends in {_duration(ttl)}")
    else:
        yield good("token", f"{says}; it has no end")


def _read(sender: Sender, path: str) -> dict[str, Any]:
    status, answer = sender.send("GET", f"{sender.root}{path}")
    if status != _OK:
        raise RequestFailed(refusal(status, answer))
    return _data(answer)


def _data(answer: bytes) -> dict[str, Any]:
    found = _parsed(answer)
    return found.get("data") or found


def _parsed(answer: bytes) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RequestFailed("the answer is not one of this API")
    return found


def _duration(seconds: int) -> str:
    """Return a duration by its two largest units."""
    parts = []
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])
