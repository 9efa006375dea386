"""`kms-cli transit rewrap`: bring the ciphertexts of a file to the latest version of their key."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Final

import click

from kms_actors.cli.manners import FAILED, Form, form, progress, tell, tells
from kms_actors.cli.rewrap.campaign import (
    Campaign,
    Counts,
)
from kms_actors.cli.rewrap.client import RewrapClient
from kms_actors.cli.rewrap.csv_file import csv_reader
from kms_actors.cli.rewrap.json_file import json_reader
from kms_actors.cli.rewrap.records import (
    Beside,
    Reader,
    lines_of,
    read_lines,
)
from kms_actors.cli.sender import RequestFailed
from kms_actors.cli.surroundings import token_from
from kms_actors.errors import InvalidRequest
from kms_actors.system_errors import writing

#: Items that the server takes in one batch.
MAX_BATCH: Final = 10_000

#: Each format: the option that says where the ciphertext is, and what makes a reader of its value.
_FORMATS: Final[dict[str, tuple[str | None, Callable[[str, Beside], Reader]]]] = {
    "lines": (None, lambda *_: read_lines),
    "csv": ("column", csv_reader),
    "json": ("field", json_reader),
}


@click.group()
def transit() -> None:
    """Work on ciphertexts through a server."""


@transit.command()
@click.argument("source", type=click.File("rb"), default="-", metavar="[FILE]")
@click.option("--address", envvar="VAULT_ADDR", show_envvar=True, required=True, metavar="URL")
@click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE", help="Instead of VAULT_TOKEN.")
@click.option("--mount", default="transit", show_default=True, metavar="PATH")
@click.option("--key", required=True, metavar="NAME", help="Name of the Transit key.")
@click.option("--key-version", type=click.IntRange(min=1), help="Version to rewrap to.  [default: the latest]")
@click.option("--format", "form", type=click.Choice(list(_FORMATS)), default="lines", show_default=True)
@click.option("--column", metavar="NAME|N", help="Of CSV: a name in the first line, or a number from 1.")
@click.option("--field", metavar="A.B", help="Of JSON, one object a line: where the ciphertext is.")
@click.option("--context", metavar="NAME", help="Column or field of the context; needed for derived keys.")
@click.option("--associated-data", metavar="NAME", help="Column or field of the associated data, which may be empty.")
@click.option("--encode", is_flag=True, help="Context and associated data are text; else they are base64.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Never overwritten.")
@click.option("--resume", is_flag=True, help="Go on with an output that was interrupted.")
@click.option("--batch", type=click.IntRange(1, MAX_BATCH), default=500, show_default=True)
@tells("Print no summary; the exit code is 1 if a line failed.")
def rewrap(
    *,
    source: BinaryIO,
    address: str,
    token_file: Path | None,
    mount: str,
    key: str,
    key_version: int | None,
    form: str,
    column: str | None,
    field: str | None,
    context: str | None,
    associated_data: str | None,
    encode: bool,
    output: Path | None,
    resume: bool,
    batch: int,
) -> None:
    """Rewrap the ciphertexts of a file, or of standard input; plaintexts stay in the server.

    The token comes from VAULT_TOKEN or a file. All but the ciphertexts is written as it was read. Lines that fail
    are written unchanged and named at the end with exit code 1. A batch is on disk before the next one begins:
    with --resume and the same input, an interrupted campaign goes on, from the first line that failed and now works.

    \b
    kms-cli transit rewrap --key orders ciphertexts.txt --output rewrapped.txt
    kms-cli transit rewrap --key orders --format csv --column card orders.csv --output new.csv
    kms-cli transit rewrap --key orders --format json --field card.number < orders.jsonl > new.jsonl
    kms-cli transit rewrap --key users --format csv --column card --context user --encode users.csv --output new.csv
    """  # noqa: D301  click keeps lines after \b
    beside = Beside(context or "", associated_data or "", encode)
    read = _reader(form, {"column": column, "field": field}, beside)
    client = RewrapClient(address, token_from(token_file), mount=mount, key=key, key_version=key_version)
    failures: list[tuple[int, str]] = []
    with ExitStack() as stack:
        stack.callback(_named, failures)  # also if the server ends the campaign
        stack.callback(client.close)
        if output is not None:
            stack.enter_context(writing(output))
        target = stack.enter_context(_opened(output, source, resume=resume))
        bar = stack.enter_context(_progress_bar(source))
        campaign = Campaign(
            rewrap=client.rewrap,
            output=target,
            report=lambda *failure: failures.append(failure),
            progress=bar.update,
            batch=batch,
            durable=output is not None,
        )
        try:
            records = read(lines_of(source))
            campaign.run(campaign.resume(records, read) if resume else records)
        except RequestFailed as error:
            raise click.ClickException(f"{error}{_how_to_go_on(output)}") from None
        except InvalidRequest as error:
            raise InvalidRequest(f"{getattr(source, 'name', '-')}: {error}") from None
    _finish(campaign.counts, failures, beside_output=output is not None)


def _reader(form: str, given: dict[str, str | None], beside: Beside) -> Reader:
    needed, make = _FORMATS[form]
    for name, value in given.items():
        if (value is not None) != (name == needed):
            raise InvalidRequest(f"--{name} is for its format only, which needs it")
    if needed is None and any(beside):
        raise InvalidRequest("--context, --associated-data and --encode are for CSV and JSON")
    return make((given[needed] if needed else None) or "", beside)


def _opened(output: Path | None, source: BinaryIO, *, resume: bool) -> BinaryIO:
    """Return the output: a new file for its owner only, one to go on with, or standard output."""
    if output is None:
        if resume:
            raise InvalidRequest("--resume needs --output")
        return click.open_file("-", "wb")  # type: ignore[return-value]  # its type is that of text files
    if not resume:
        return os.fdopen(os.open(output, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b")
    file = os.fdopen(os.open(output, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    if os.path.sameopenfile(file.fileno(), source.fileno()):
        file.close()
        raise InvalidRequest("the output is the input")
    return file


def _progress_bar(source: BinaryIO) -> Any:
    """Return a bar of the bytes of input; of a pipe nobody knows how many there are."""
    size = None
    if source.seekable():
        begin = source.tell()
        size = source.seek(0, os.SEEK_END) - begin
        source.seek(begin)
    steps = count() if size is None else None
    return progress(steps, length=size, label="Rewrapping", show_pos=size is None)


def _how_to_go_on(output: Path | None) -> str:
    return "" if output is None else "; what was done is in the output: go on with --resume"


def _named(failures: list[tuple[int, str]]) -> None:
    if form() is Form.JSON:
        return  # they are in the summary
    for line, error in failures:
        click.echo(f"line {line}: {error}", err=True)


def _finish(counts: Counts, failures: list[tuple[int, str]], *, beside_output: bool) -> None:
    """Sum up; what is printed beside ciphertexts would be taken for one."""
    words = f"{counts.rewrapped} rewrapped, {counts.failed} failed, {counts.untouched} without ciphertext"
    data = {**asdict(counts), "failures": [{"line": line, "error": error} for line, error in failures]}
    tell(data, words, err=form() is Form.WORDS or not beside_output)
    if counts.failed:
        sys.exit(FAILED)
