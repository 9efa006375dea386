"""Where logs are read from, and what they are verified against."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import click
import msgspec

from kms_actors.audit.log import base64
from kms_actors.audit.log.findings import Anchor, Trust
from kms_actors.audit.log.lines import Former
from kms_actors.audit.receipts import Receipt
from kms_actors.cli.audit.server import server
from kms_actors.errors import InvalidRequest
from kms_actors.small_files import read_small

T = TypeVar("T")

_GZIP: Final = b"\x1f\x8b"
_TIME: Final = re.compile(rb'"time":"([0-9TZ:.-]{1,40})"')
#: Bytes at the beginning of a file that its time is looked for in.
_HEAD: Final = 1 << 16

FILES: Final = click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE…"
)
_OPTIONS: Final = (
    click.option("--device", metavar="PATH", help="Ask the server what it knows of this device's logs."),
    click.option("--address", envvar="VAULT_ADDR", show_envvar=True, metavar="URL", help="Of the server."),
    click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE", help="Instead of VAULT_TOKEN."),
    click.option(
        "--anchors",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="What `kms-cli audit anchors` wrote, instead of the server.",
    ),
    click.option("--key", metavar="VERIFIER", help="The key that must have signed; alone, it tells of no cut ends."),
)


def with_trust(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say what a log is verified against."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


class Known(NamedTuple):
    """The key that must have signed, and what anchors tell; `anchored` is False where nobody told any."""

    trust: Trust
    anchors: tuple[Anchor, ...]
    anchored: bool


class TellsAnchor(msgspec.Struct, frozen=True):
    """An anchor, as the API tells it."""

    log: str
    lines: int
    head: str
    checkpoint: str
    node: str = ""
    file: str = ""


class Told(msgspec.Struct, frozen=True):
    """What the API tells of a device's logs."""

    scope: str
    public_key: str
    logs: tuple[TellsAnchor, ...]


def known(
    *,
    device: str | None,
    address: str | None,
    token_file: Path | None,
    anchors: Path | None,
    key: str | None,
    node: str | None = None,
) -> Known:
    """Return what logs are to be verified against."""
    trust = None if key is None else named("--key", Trust.of, key)
    told = None
    if device is not None:
        if address is None:
            raise click.UsageError("--device wants an --address")
        told = read_told(server(address, token_file).checkpoints(device))
    elif anchors is not None:
        told = read_told(_json(anchors))
    if told is None:
        if trust is None:
            raise click.UsageError("say what to verify against: --device, --anchors or --key")
        return Known(trust, (), anchored=False)
    of_told = Trust(told.scope, base64.decode(told.public_key, 32))
    if trust is not None and trust != of_told:
        raise InvalidRequest("the key that is told there is another than --key")
    logs = [each for each in told.logs if node is None or each.node == node]
    return Known(of_told, tuple(Anchor(each.log, each.lines, each.head, each.checkpoint) for each in logs), True)


def named(option: str, read: Callable[[str], T], text: str) -> T:
    """Return what is read of an option's value; InvalidRequest names the option."""
    try:
        return read(text)
    except InvalidRequest as error:
        raise InvalidRequest(f"{option}: {error}") from None


def read_told(data: Any) -> Told:
    """Return what the API told; raises InvalidRequest."""
    try:
        return msgspec.convert(data, Told)
    except msgspec.ValidationError:
        raise InvalidRequest("these are no anchors of audit logs") from None


def read_receipts(path: Path | None, trust: Trust) -> list[Former]:
    """Return what the receipts in a file tell; raises InvalidRequest for those of another key."""
    if path is None:
        return []
    try:
        receipts = [
            msgspec.json.decode(line, type=Receipt) for line in path.read_bytes().splitlines() if line.strip()
        ]
    except msgspec.DecodeError:
        raise InvalidRequest(f"{path}: a line is no receipt") from None
    if any(each.key != str(trust.verifier(each.log)) for each in receipts):
        raise InvalidRequest(f"{path}: a receipt is of another key")
    return [Former(each.log, each.index + 1, each.leaf) for each in receipts]


def opener(files: Sequence[Path]) -> Callable[[], Iterable[tuple[str, Iterable[bytes]]]]:
    """Return what opens files, compressed ones too, the oldest first: by the time of their first lines."""
    ordered = sorted(files, key=_begin)

    def opened() -> Iterator[tuple[str, Iterable[bytes]]]:
        for path in ordered:
            with _open(path) as content:
                yield str(path), content

    return opened


def _begin(path: Path) -> bytes:
    with _open(path) as content:
        found = _TIME.search(content.read(_HEAD))
    return found[1] if found else b""


def _open(path: Path) -> Any:
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP
    return gzip.open(path) if compressed else path.open("rb")


def _json(path: Path) -> Any:
    try:
        return msgspec.json.decode(read_small(path))
    except msgspec.DecodeError:
        raise InvalidRequest(f"{path}: not JSON") from None
