"""`kms-cli audit verify`, `prove`, `check-proof`, `tiles`, `anchors` and `search`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from kms_actors.audit.log import proofs, proving, verifying
from kms_actors.audit.log.findings import LogReport, Report
from kms_actors.audit.log.notes import Verifier
from kms_actors.audit.log.proving import Proven
from kms_actors.audit.log.verification import verify
from kms_actors.cli.audit.searching import Wanted, search
from kms_actors.cli.audit.server import server
from kms_actors.cli.audit.sources import FILES, Known, known, named, opener, read_receipts, read_told, with_trust
from kms_actors.cli.manners import FAILED, not_looked, tell, tells
from kms_actors.cli.private_file import create_private
from kms_actors.errors import InvalidRequest
from kms_actors.small_files import read_small
from kms_actors.system_errors import writing

_OUTPUT: Final = click.Path(path_type=Path)


@click.group()
def audit() -> None:
    """Verify, prove and search audit logs."""


@audit.command("verify")
@FILES
@with_trust
@click.option("--node", metavar="NAME", help="Expect the logs of this node alone; else those of all nodes.")
@click.option(
    "--receipts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Receipts of answers, one a line: their lines must be there.",
)
@tells("Print the findings alone.")
def verify_files(*, files: tuple[Path, ...], receipts: Path | None, **against: Any) -> None:
    """Say whether anything was done to logs, and to which lines.

    Give all files of a log, moved away and compressed ones too, in any order. Lines that were changed, removed,
    added, moved or forked are named; so is an end that was cut off, by what the server, or anchors kept elsewhere,
    tell of it. Ends with 0 when all is well, 1 with findings, 2 when nothing could be verified.

    \b
    kms-cli audit verify audit.log* --device file
    kms-cli audit verify audit.log --anchors anchors.json --json
    """  # noqa: D301  click keeps lines after \b
    try:
        against_ = known(**against)
        kept = read_receipts(receipts, against_.trust)
        report = verify(opener(files), against_.trust, against_.anchors, kept)
    except (InvalidRequest, OSError) as error:
        raise not_looked(error) from None
    tell(_plain(report, against_), _as_text(report, against_), "\n".join(map(str, report.findings)))
    sys.exit(FAILED if report.findings else 0)


@audit.command()
@FILES
@with_trust
@click.option("--at", metavar="FILE:LINE", help="The line to prove, by where it stands.")
@click.option("--log", metavar="ID", help="Or by its log…")
@click.option("--index", type=click.IntRange(min=0), help="…and its number there.")
@click.option(
    "--output", type=_OUTPUT, metavar="FILE", help="The proof, never overwritten; what is printed is the key then."
)
@click.option("--entry", type=_OUTPUT, metavar="FILE", help="Write the line there, as it is to be verified.")
@tells("Print the proof alone; with --output, the key.")
def prove(
    *,
    files: tuple[Path, ...],
    at: str | None,
    log: str | None,
    index: int | None,
    output: Path | None,
    entry: Path | None,
    **against: Any,
) -> None:
    """Prove that a line is in its log, to whoever has the log's key and nothing else.

    The proof has the form of c2sp.org/tlog-proof: with the line and the key, any verifier of that form accepts it,
    and `kms-cli audit check-proof` does. The file with the line and its next checkpoint is enough.
    """
    opened = opener(files)
    found = _line(opened, at, log, index)
    assert found.line is not None
    trust = known(**against).trust
    proven = Proven(verifying.read(opened()), trust, found.line.log, found.line.index + 1)
    proof = proven.proof(found.line.index)
    key, text = str(trust.verifier(found.line.log)), proof.text()
    if output is not None:
        create_private(output, text.encode())
    if entry is not None:
        try:
            create_private(entry, found.entry)
        except OSError:
            if output is not None:
                output.unlink()
            raise
    if output is None:
        tell({"proof": text, "key": key}, text.removesuffix("\n"), text.removesuffix("\n"))
    else:
        tell({"proof_file": str(output), "key": key}, key, key)


@audit.command("check-proof")
@click.argument("proof", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--entry", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@click.option("--key", required=True, metavar="VERIFIER", help="Of the log.")
@tells("Print nothing: the exit code says whether it does.")
def check_proof(*, proof: Path, entry: Path, key: str) -> None:
    """Say whether a proof proves that a line is in the log that a key signs."""
    verifier, line = named("--key", Verifier.parse, key), read_small(entry).removesuffix(b"\n")
    try:
        found = proofs.parse(read_small(proof).decode())
        checkpoint = found.check(line, verifier)
    except UnicodeDecodeError:
        raise click.ClickException(f"{proof}: not UTF-8 text") from None
    except InvalidRequest as error:
        raise click.ClickException(f"{proof}: {error}") from None
    tell(
        {"index": found.index, "origin": checkpoint.origin, "size": checkpoint.size},
        f"line {found.index} of {checkpoint.origin}, by its checkpoint of {checkpoint.size} lines",
    )


@audit.command()
@FILES
@with_trust
@click.option("--log", metavar="ID", help="Which, where there are several.")
@click.option("--output", required=True, type=_OUTPUT, metavar="FOLDER", help="Made; it must not be there yet.")
@tells("Print the log's key alone.")
def tiles(*, files: tuple[Path, ...], log: str | None, output: Path, **against: Any) -> None:
    """Write a log as tiles, for clients of c2sp.org/tlog-tiles; all its files are needed."""
    opened, trust = opener(files), known(**against).trust
    chosen = log or _only_log(verifying.follow(verifying.read(opened()), trust).followers)
    proven = Proven(verifying.read(opened()), trust, chosen)
    entries = (each.entry for each in verifying.read(opened()) if each.line is not None and each.line.log == chosen)
    output.mkdir(parents=True, mode=0o700)
    left_out = []
    try:
        for path, content in proving.tiled(entries, proven):
            if content is None:
                left_out.append(path)
                continue
            place = output / path
            place.parent.mkdir(parents=True, exist_ok=True)
            with writing(place):
                place.write_bytes(content)
    except BaseException:  # some of a log's tiles would be taken for all of them
        shutil.rmtree(output, ignore_errors=True)
        raise
    for path in left_out:
        click.echo(f"{path}: left out, for one of its lines is longer than tiles may have", err=True)
    key = str(trust.verifier(chosen))
    data = {"lines": proven.signed, "log": chosen, "key": key, "left_out": left_out}
    tell(data, f"{proven.signed} lines of log {chosen}, signed by\n{key}", key)


@audit.command()
@click.option("--device", required=True, metavar="PATH")
@click.option("--address", envvar="VAULT_ADDR", show_envvar=True, required=True, metavar="URL")
@click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE", help="Instead of VAULT_TOKEN.")
@click.option("--output", type=_OUTPUT, metavar="FILE", help="Else they are printed. Never overwritten.")
@tells("With --output, print nothing.")
def anchors(*, device: str, address: str, token_file: Path | None, output: Path | None) -> None:
    """Fetch what the server knows of a device's logs, to be kept elsewhere.

    What is kept where nobody who can write to the store can write proves later that the logs go on from there.
    """
    data = server(address, token_file).checkpoints(device)
    read_told(data)
    text = msgspec.json.format(msgspec.json.encode(data), indent=2).decode()
    if output is None:
        tell(data, text, text)
        return
    create_private(output, f"{text}\n".encode())
    tell({"anchors_file": str(output)}, f"Anchors file {output}")


@audit.command("search")
@FILES
@click.option("--path", metavar="PATH", help="Of requests; it may end in `*`.")
@click.option("--accessor", metavar="ACCESSOR", help="Of the token that asked, or that an answer gave.")
@click.option(
    "--value", metavar="TEXT", help="Anywhere in it; others can see arguments: - reads it from standard input."
)
@click.option("--device", metavar="PATH", help="Its HMACs are what the server is asked for.")
@click.option("--address", envvar="VAULT_ADDR", show_envvar=True, metavar="URL")
@click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE", help="Instead of VAULT_TOKEN.")
@click.option("--with-place", is_flag=True, help="Say in which file and line each stands.")
@tells("Print the lines alone, as without --with-place anyway.")
def search_files(
    *,
    files: tuple[Path, ...],
    path: str | None,
    accessor: str | None,
    value: str | None,
    device: str | None,
    address: str | None,
    token_file: Path | None,
    with_place: bool,
) -> None:
    """Print the lines that say all that is asked for.

    Values and accessors are in logs as HMACs, by a key of the device: with --device, the server computes what to look
    for. Without, they are looked for as they are, as in logs of devices with log_raw. Ends with 1 if there are none.

    \b
    kms-cli audit search audit.log* --path 'secret/data/app/*'
    kms-cli audit search audit.log --device file --value - < password
    """  # noqa: D301  click keeps lines after \b
    if path is None and accessor is None and value is None:
        raise click.UsageError("say what to look for: --path, --accessor or --value")
    if value == "-":
        value = sys.stdin.read().removesuffix("\n")

    def forms(text: str | None) -> tuple[str, ...]:
        if text is None:
            return ()
        if device is None:
            return (text,)
        if address is None:
            raise click.UsageError("--device wants an --address")
        return text, server(address, token_file).hmac(device, text)

    count = 0
    for found in search(verifying.read(opener(files)()), Wanted(path, forms(accessor), forms(value))):
        count += 1
        entry = found.entry.decode("utf-8", errors="replace")
        place = f"{found.file}:{found.number}: " if with_place else ""
        tell({"file": found.file, "line": found.number, "entry": entry}, place + entry, entry)
    sys.exit(0 if count else 1)


def _line(opened: Any, at: str | None, log: str | None, index: int | None) -> verifying.Read:
    if at is not None:
        name, _, number = at.rpartition(":")
        wanted = (name, int(number) if number.isdecimal() else 0)
        found = next((each for each in verifying.read(opened()) if (each.file, each.number) == wanted), None)
    elif log is not None and index is not None:
        found = next(
            (
                each
                for each in verifying.read(opened())
                if each.line is not None and (each.line.log, each.line.index) == (log, index)
            ),
            None,
        )
    else:
        raise click.UsageError("say which line: --at FILE:LINE, or --log and --index")
    if found is None or found.line is None:
        raise click.ClickException("there is no such line of a log in these files")
    return found


def _only_log(found: dict[str, Any]) -> str:
    if len(found) != 1:
        raise click.UsageError(f"say which log: --log {' or '.join(sorted(found)) or 'ID; there is none here'}")
    return next(iter(found))


def _plain(report: Report, against: Known) -> dict[str, Any]:
    return {
        "sound": not report.findings,
        "lines": report.lines,
        "findings": report.findings,
        "logs": report.logs,
        "notes": _notes(report, against),
    }


def _as_text(report: Report, against: Known) -> str:
    said = [str(finding) for finding in report.findings]
    if not report.findings:
        said += [_in_words(log) for log in report.logs]
    said += _notes(report, against)
    logs = "1 log" if len(report.logs) == 1 else f"{len(report.logs)} logs"
    findings = "1 finding" if len(report.findings) == 1 else f"{len(report.findings)} findings"
    return "\n".join([*said, f"{report.lines} lines of {logs}: {findings}"])


def _in_words(log: LogReport) -> str:
    anchored = "" if log.anchored is None else f", anchored up to {log.anchored}"
    return f"log {log.log}: lines {log.first} to {log.lines - 1}, {log.signed} of them signed{anchored}"


def _notes(report: Report, against: Known) -> list[str]:
    """Return what is not wrong, and yet not proven."""
    notes: list[str] = []
    if report.findings:
        return notes
    for log in report.logs:
        if log.first:
            notes.append(f"log {log.log} begins before these files: lines up to {log.first - 1} are not verified")
        if not log.closed and not against.anchored:
            notes.append(f"log {log.log} is not closed: whether its end was cut off, anchors alone tell")
    return notes
