"""`kms-cli kubernetes serve`."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import structlog

from kms_actors.cli.kubernetes.envelope import Envelope
from kms_actors.cli.kubernetes.signer import Signer
from kms_actors.cli.kubernetes.transit import TransitKey
from kms_actors.cli.looking.findings import show
from kms_actors.cli.manners import tells
from kms_actors.cli.surroundings import token_from
from kms_actors.durations import parse_duration
from kms_actors.processes.hardening import keep_memory_private

F = TypeVar("F", bound=Callable[..., Any])

#: Seconds that a token may live, at least: API servers take no less.
_LEAST_SECONDS = 600


@click.group()
def kubernetes() -> None:
    """Seal secrets and sign tokens of a Kubernetes API server by Transit keys."""


_ABSENT: Final = "gRPC is missing: install clever-kms[kubernetes]"


def _socket(command: F) -> F:
    """Add the option that names the socket."""
    kind = click.Path(path_type=Path)
    return click.option("--socket", "path", type=kind, required=True, metavar="PATH", help="Unix socket.")(command)


@kubernetes.command()
@_socket
@tells(quiet="Print only what is not good.")
def check(*, path: Path) -> None:
    """Ask a socket what an API server asks: a key is sealed and opened, keys that sign are fetched."""
    try:
        from kms_actors.cli.kubernetes.asking import look  # noqa: PLC0415 - of an extra
    except ImportError:
        raise click.ClickException(_ABSENT) from None
    show(look(path))


@kubernetes.command()
@_socket
@click.option("--key", metavar="NAME", help="Transit key that seals: serves KMS v2.")
@click.option("--signing-key", metavar="NAME", help="Transit key that signs: serves ExternalJWTSigner (KEP-740).")
@click.option("--mount", default="transit", show_default=True, metavar="PATH")
@click.option("--max-token-ttl", metavar="DURATION", help="Of signed tokens.  [default: 24h]")
@click.option("--address", envvar="VAULT_ADDR", show_envvar=True, required=True, metavar="URL")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Instead of VAULT_TOKEN.",
)
def serve(
    *,
    path: Path,
    key: str | None,
    signing_key: str | None,
    mount: str,
    max_token_ttl: str | None,
    address: str,
    token_file: Path | None,
) -> None:
    """Serve an API server on a unix socket, until SIGTERM or SIGINT.

    The token needs no more than one key: to read it, and to use it. A rotation of the key is followed within ten
    seconds. Without the server, what was opened before is opened for ten minutes, and a spare key seals.

    \b
    kms-cli kubernetes serve --socket /run/kms/kms.sock --key cluster-a --token-file /etc/kms/token
    kms-cli kubernetes serve --socket /run/kms/jwt.sock --signing-key accounts --token-file /etc/kms/token
    """  # noqa: D301  click keeps lines after \b
    try:
        from kms_actors.cli.kubernetes.serving import Service  # noqa: PLC0415 - of an extra
    except ImportError:
        raise click.ClickException(_ABSENT) from None
    if key is None and signing_key is None:
        raise click.UsageError("--key or --signing-key is needed")
    if max_token_ttl is not None and signing_key is None:
        raise click.UsageError("--max-token-ttl is for --signing-key")
    seconds = parse_duration(max_token_ttl or "24h")
    if seconds is None or seconds < _LEAST_SECONDS * 10**9:
        raise click.UsageError("--max-token-ttl is a duration of 10m or more")
    keep_memory_private()
    token = partial(token_from, token_file)
    with ExitStack() as stack:
        keys = {name: TransitKey(address, token, mount, name) for name in (key, signing_key) if name is not None}
        for each in keys.values():
            stack.callback(each.close)
        service = Service(
            path,
            Envelope(keys[key]) if key is not None else None,
            Signer(keys[signing_key]) if signing_key is not None else None,
            seconds // 10**9,
        )
        service.look()
        wait_for_end = stack.enter_context(_ending())
        service.start()
        structlog.get_logger("kms_actors").info("serving", socket=str(path), keys=sorted(keys), pid=os.getpid())
        wait_for_end()
        service.stop()


@contextmanager
def _ending() -> Iterator[Callable[[], object]]:
    """Have SIGTERM and SIGINT heeded by who waits for them, instead of at once; give what waits.

    One that comes just before the main thread waits, or to another thread, would wake nobody: Python runs handlers in
    the main thread alone, between two steps of its own. But wherever it comes, a byte of it is written at once.
    """
    waiting, writing = socket.socketpair()
    with waiting, writing:
        writing.setblocking(False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(writing.fileno())
        try:
            yield lambda: waiting.recv(1)
        finally:
            signal.set_wakeup_fd(-1)
