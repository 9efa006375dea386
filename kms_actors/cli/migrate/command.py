"""`kms-cli migrate`: copy what a Vault or OpenBao has into a vault here, or the other way."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from kms_actors.cli.manners import FAILED, Form, form, progress, tell, tells
from kms_actors.cli.migrate.findings import Report
from kms_actors.cli.migrate.migration import Migration
from kms_actors.cli.migrate.server import Server, ServerFailed
from kms_actors.cli.surroundings import token_from
from kms_actors.errors import InvalidRequest


@click.command()
@click.option(
    "--address", envvar="VAULT_ADDR", show_envvar=True, required=True, metavar="URL", help="The vault here."
)
@click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE", help="Instead of VAULT_TOKEN.")
@click.option("--from", "source", metavar="URL", help="The server to copy from.")
@click.option("--to", "target", metavar="URL", help="The server to copy to: the way out.")
@click.option("--other-token-file", type=click.Path(path_type=Path), metavar="FILE", help="Instead of MIGRATE_TOKEN.")
@click.option("--other-namespace", default="", metavar="PATH", help="Of the other server, where it has several.")
@click.option("--dry-run", is_flag=True, help="Say what would be copied, and write nothing.")
@click.option("--threads", type=click.IntRange(1, 64), default=8, show_default=True, help="Requests at a time.")
@click.option("--no-compare", is_flag=True, help="Do not read all back in the end.")
@tells("Print only what was not copied, or is different.")
def migrate(
    *,
    address: str,
    token_file: Path | None,
    source: str | None,
    target: str | None,
    other_token_file: Path | None,
    other_namespace: str,
    dry_run: bool,
    threads: int,
    no_compare: bool,
) -> None:
    """Copy mounts, policies, secrets, Transit keys and roles of logins from another server, or to one.

    Versions and keys that are there already are left alone, so an interrupted run goes on when it is repeated; what
    has no versions becomes as it is there. In the end all is read on both sides and compared. What could not be
    copied is listed with the reason, and the exit code is 1.

    \b
    kms-cli migrate --from https://vault.example:8200 --other-token-file token --dry-run
    kms-cli migrate --from https://vault.example:8200 --other-token-file token
    kms-cli migrate --to https://bao.example:8200 --other-token-file token
    """  # noqa: D301  click keeps lines after \b
    if (source is None) == (target is None):
        raise InvalidRequest("give --from, or --to")
    own = Server(address, token_from(token_file))
    token = token_from(other_token_file, "MIGRATE_TOKEN", "--other-token-file")
    other = Server(source or target or "", token, own=False, namespace=other_namespace)
    sides = (other, own) if source else (own, other)
    try:
        for each in (own, other):
            each.reach()
    except ServerFailed as error:
        raise click.ClickException(str(error)) from None
    try:
        report = _run(*sides, threads=threads, dry_run=dry_run, compare=not no_compare)
    except ServerFailed as error:
        raise click.ClickException(f"{error}{'' if dry_run else '; what was done stays: run it again'}") from None
    finally:
        own.close()
        other.close()
    _tell(report)
    if report.left or report.different:
        sys.exit(FAILED)


def _run(source: Server, target: Server, *, threads: int, dry_run: bool, compare: bool) -> Report:
    bar = progress(length=1, label="Looking")
    migration = Migration(source, target, threads, bar.update)
    found = migration.found()
    total = sum(len(names) for _, names in found)
    if dry_run:
        bar.length = max(1, sum(len(names) for place, names in found if place.kind == "transit"))
        with bar:
            migration.look(found)
        return migration.report
    bar.length, bar.label = max(1, total * (2 if compare else 1)), "Copying"
    with bar:
        began = time.monotonic()
        migration.copy(found)
        migration.report.seconds = time.monotonic() - began
        if compare:
            bar.label = "Comparing"
            migration.compare(found)
    if form() is Form.WORDS:
        number, seconds = migration.report.copied["secrets"], migration.report.seconds
        click.echo(f"{number} secrets in {seconds:.1f} s, {number / max(seconds, 0.001):.0f} a second", err=True)
    return migration.report


def _tell(report: Report) -> None:
    """Tell what came of it."""
    wrong = [f"not copied: {what}: {why}" for what, why in sorted(report.left)]
    wrong += [f"different: {what}: {why}" for what, why in sorted(report.different)]
    lines = [f"{path} ({kind}): {number}" for path, (kind, number) in report.found.items()]
    lines += [f"{kind}: {number}" for kind, number in sorted(report.copied.items())]
    lines += [f"not kept, {number} times: {text}" for text, number in sorted(report.notes.items())]
    if lines or wrong or form() is not Form.WORDS:
        tell(report.data(), "\n".join([*lines, *wrong]), "\n".join(wrong))
