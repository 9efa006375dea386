"""`kms-cli store check` and `reseal`, `backup`, `restore`: work on the store itself, beside nodes or without any."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from kms_actors import config
from kms_actors.backup.format import ALL
from kms_actors.check.findings import Report
from kms_actors.cli.store.given import Given
from kms_actors.cli.store.work import (
    backed_up,
    checked,
    orphans_removed,
    resealed,
    restored,
)
from kms_actors.errors import KmsError
from kms_actors.keyring.master_seal import SHAMIR

T = TypeVar("T")

#: Exit code of a check that found something.
FINDINGS: Final = 1

_UNSEAL_KEYS: Final = "KMS_UNSEAL_KEYS"


class _NotChecked(click.ClickException):
    """A check that could not begin, told apart from one with findings; also a wrong configuration."""

    exit_code = 2


class _Configuration(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """A node's configuration file, read and checked."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> config.Configuration:
        try:
            return config.load(Path(value))
        except config.ConfigurationError as error:
            raise _NotChecked(str(error)) from None


_configuration: Final = click.option(
    "--configuration", required=True, type=_Configuration(), metavar="FILE", help="A node's configuration."
)


_unseal_keys: Final = click.option(
    "--unseal-key",
    "shares",
    multiple=True,
    metavar="SHARE",
    envvar=_UNSEAL_KEYS,
    help=f"A share of the master key, repeated; others can see arguments: better --prompt, or {_UNSEAL_KEYS}.",
)
_prompt: Final = click.option("--prompt", is_flag=True, help="Ask for shares of the master key.")
_key_file: Final = click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Master key, or that of `static`, in a file: 64 hex.",
)
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def store() -> None:
    """Look after the store."""


@store.command("check")
@_configuration
@_unseal_keys
@_prompt
@_key_file
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def store_check(
    *,
    configuration: config.Configuration,
    shares: tuple[str, ...],
    prompt: bool,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Walk every record and name what is damaged, missing or left over.

    With the master key, records of unsealed vaults are opened as well; those of others are seen from outside
    only. Nothing is written, and nodes may run meanwhile. Ends with 0 when all is well, 1 with findings, 2 when
    the store could not be checked.
    """
    if prompt:
        shares = (*shares, *_asked_shares())
    report = _run(lambda: checked(configuration, Given(shares, key_file)), _NotChecked)
    click.echo(_as_json(report) if as_json else _as_text(report))
    sys.exit(FINDINGS if report.findings else 0)


@store.command("reseal")
@_configuration
@_unseal_keys
@_prompt
@_key_file
@click.option("--vault", metavar="ID", help="Only this vault.")
@click.option("--restart", is_flag=True, help="Begin anew a run that was interrupted.")
def store_reseal(
    *,
    configuration: config.Configuration,
    shares: tuple[str, ...],
    prompt: bool,
    key_file: Path | None,
    vault: str | None,
    restart: bool,
) -> None:
    """Seal every record that an older version of a keyring has sealed anew, by the newest.

    After a rotation, older records stay as they are, and open; this is for who wants none of them left. It needs the
    master key, and vaults that are unsealed. Nodes may run meanwhile. A run that was interrupted goes on when it is
    run again.
    """
    if prompt:
        shares = (*shares, *_asked_shares())
    given = Given(shares, key_file)
    if given.nothing and configuration.master_keyring_provider.name == SHAMIR:
        raise click.UsageError("the master key is needed: --prompt, --unseal-key or --key-file")
    click.echo(_run(lambda: resealed(configuration, given, vault, restart=restart)))


@store.command("remove-orphans")
@_configuration
@click.option("--dry-run", is_flag=True, help="Only name them.")
def store_remove_orphans(*, configuration: config.Configuration, dry_run: bool) -> None:
    """Remove the records below mounts that do not exist, which `store check` names as orphans.

    Nothing reaches them. Nodes may run meanwhile, and vaults may be sealed; those that are being restored are left
    alone.
    """
    click.echo(_run(lambda: orphans_removed(configuration, dry_run=dry_run)))


@click.command()
@_configuration
@click.option("--output", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Never overwritten.")
@click.option("--vault", "scope", default=ALL, show_default=True, metavar="ID", help="One vault, or all.")
@click.option("--resume", is_flag=True, help="Go on with a backup that was interrupted.")
def backup(*, configuration: config.Configuration, output: Path, scope: str, resume: bool) -> None:
    """Write the sealed records of the store to a file. Nothing is opened, and nodes may run meanwhile.

    Vaults come back sealed, with the shares they had at the time of the backup: keep those. Without shares a backup
    opens to nobody.
    """
    click.echo(_run(lambda: backed_up(configuration, output, scope, resume=resume)))


@click.command()
@_configuration
@click.option("--input", "source", required=True, type=_FILE, metavar="FILE")
@click.option("--vault", metavar="ID", help="Only this vault, without the cluster's own records.")
@click.option("--replace", is_flag=True, help="Write over vaults that exist: what they hold now is lost.")
@click.option("--restart", is_flag=True, help="Begin anew a restore that was interrupted.")
@click.option("--dry-run", is_flag=True, help="Prove the file and look for obstacles; write nothing.")
def restore(
    *,
    configuration: config.Configuration,
    source: Any,
    vault: str | None,
    replace: bool,
    restart: bool,
    dry_run: bool,
) -> None:
    """Bring vaults back from a backup. The whole file is proven before anything is written.

    An interrupted restore goes on when it is run again. A vault that is being replaced is sealed first, on every
    node. Restored vaults are sealed.
    """
    with source.open("rb") as file:
        click.echo(
            _run(lambda: restored(configuration, file, vault, replace=replace, restart=restart, dry_run=dry_run))
        )


def register(group: click.Group) -> None:
    """Add the commands."""
    for command in (store, backup, restore):
        group.add_command(command)


def _run(work: Callable[[], Coroutine[Any, Any, T]], failure: type[click.ClickException] = click.ClickException) -> T:
    try:
        return asyncio.run(work())
    except KmsError as error:
        raise failure(str(error)) from None
    except OSError as error:
        raise failure(f"{error.filename}: {error.strerror}") from None


def _asked_shares() -> list[str]:
    shares: list[str] = []
    while share := click.prompt(
        "Unseal Key (empty: no more)", default="", show_default=False, hide_input=True, err=True
    ):
        shares.append(share)
    return shares


def _as_text(report: Report) -> str:
    lines = [f"{finding.kind}  {finding.place}  {finding.text}" for finding in report.findings]
    lines.append(f"{report.records} records of {report.vaults} vaults: {len(report.findings)} findings")
    if report.older:
        lines.append(
            f"{report.older} are sealed by older versions of keyrings: `kms-cli store reseal` seals them anew"
        )
    if report.opened < report.vaults:
        lines.append(f"{report.vaults - report.opened} vaults were not opened: their sealed records may hide more")
    return "\n".join(lines)


def _as_json(report: Report) -> str:
    return msgspec.json.encode(
        {
            "records": report.records,
            "vaults": report.vaults,
            "opened": report.opened,
            "sealed_by_older_versions": report.older,
            "findings": [
                {"kind": finding.kind, "key": finding.key.hex(), "place": finding.place, "text": finding.text}
                for finding in report.findings
            ],
        }
    ).decode()
