"""`kms-cli store check` and `reseal`, `backup`, `restore`: work on the store itself, beside nodes or without any."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from kms_actors import config
from kms_actors.actors.node.namespaces import others_alone
from kms_actors.backup.format import ALL
from kms_actors.check.findings import Report
from kms_actors.cli.manners import FAILED, Form, configured_by, form, not_looked, tell, tells, wrong
from kms_actors.cli.shares import given_shares
from kms_actors.cli.store.given import Given
from kms_actors.cli.store.work import (
    backed_up,
    checked,
    orphans_removed,
    resealed,
    restored,
)
from kms_actors.errors import InvalidRequest, KmsError
from kms_actors.keyring.master_seal import SHAMIR
from kms_actors.reseal.run import Outcome

T = TypeVar("T")

_UNSEAL_KEYS: Final = "KMS_UNSEAL_KEYS"


class _Configuration(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """A node's configuration file, read and checked."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> config.Configuration:
        configured_by(ctx, Path(value))
        try:
            return config.load(Path(value))
        except config.ConfigurationError as error:  # click would take it for one of its own
            raise wrong(str(error)) from None


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
@tells("Print the findings alone.")
def store_check(
    *,
    configuration: config.Configuration,
    shares: tuple[str, ...],
    prompt: bool,
    key_file: Path | None,
) -> None:
    """Walk every record and name what is damaged, missing or left over.

    With the master key, records of unsealed vaults are opened as well; those of others are seen from outside
    only. Nothing is written, and nodes may run meanwhile. Ends with 0 when all is well, 1 with findings, 2 when
    the store could not be checked.
    """
    if prompt:
        shares = (*shares, *given_shares())
    try:
        report = asyncio.run(checked(configuration, Given(shares, key_file)))
    except (KmsError, OSError) as error:
        raise not_looked(error) from None
    found = "\n".join(f"{finding.kind}  {finding.place}  {finding.text}" for finding in report.findings)
    tell(_data(report), "\n".join(filter(None, [found, *_summary(report)])), found)
    sys.exit(FAILED if report.findings else 0)


@store.command("reseal")
@_configuration
@_unseal_keys
@_prompt
@_key_file
@click.option("--vault", metavar="ID", help="Only this vault.")
@click.option("--restart", is_flag=True, help="Begin anew a run that was interrupted.")
@tells("Print how many records were sealed anew.")
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
        shares = (*shares, *given_shares())
    given = Given(shares, key_file)
    if given.nothing and configuration.master_keyring_provider.name == SHAMIR:
        raise click.UsageError("the master key is needed: --prompt, --unseal-key or --key-file")
    outcome = _run(resealed(configuration, given, vault, restart=restart))
    tell(outcome._asdict(), "\n".join(_resealed(outcome)), str(outcome.resealed))


@store.command("remove-orphans")
@_configuration
@click.option("--dry-run", is_flag=True, help="Only name them.")
@tells("Print how many there are.")
def store_remove_orphans(*, configuration: config.Configuration, dry_run: bool) -> None:
    """Remove the records below mounts that do not exist, which `store check` names as orphans.

    Nothing reaches them. Nodes may run meanwhile, and vaults may be sealed; those that are being restored are left
    alone.
    """
    found = _run(orphans_removed(configuration, dry_run=dry_run))
    lines = [f"tenant {each.tenant}: {each.area} of mount {each.mount}" for each in found]
    data = {"removed": not dry_run, "orphans": [each._asdict() for each in found]}
    tell(data, "\n".join([*lines, f"{len(found)} {'found' if dry_run else 'removed'}"]), str(len(found)))


@click.command()
@_configuration
@click.option("--output", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Never overwritten.")
@click.option("--vault", "scope", default=ALL, show_default=True, metavar="ID", help="One vault, or all.")
@click.option("--resume", is_flag=True, help="Go on with a backup that was interrupted.")
@tells("Print the SHA-256 of the backup alone.")
def backup(*, configuration: config.Configuration, output: Path, scope: str, resume: bool) -> None:
    """Write the sealed records of the store to a file. Nothing is opened, and nodes may run meanwhile.

    Vaults come back sealed, with the shares they had at the time of the backup: keep those. Without shares a backup
    opens to nobody.
    """
    made, clusters = _run(backed_up(configuration, output, scope, resume=resume))
    others = others_alone("the store", clusters, configuration.master_keyring_provider.namespace)
    if others is not None and form() is not Form.JSON:
        click.echo(f"{others}, as the configuration has it: this is a backup of what is there", err=True)
    tell({**made._asdict(), "clusters": clusters}, str(made), made.sha256)


@click.command()
@_configuration
@click.option("--input", "source", required=True, type=_FILE, metavar="FILE")
@click.option("--vault", metavar="ID", help="Only this vault, without the cluster's own records.")
@click.option("--replace", is_flag=True, help="Write over vaults that exist: what they hold now is lost.")
@click.option("--restart", is_flag=True, help="Begin anew a restore that was interrupted.")
@click.option("--dry-run", is_flag=True, help="Prove the file and look for obstacles; write nothing.")
@tells("Print the SHA-256 of the backup alone.")
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
        digest, vaults = _run(restored(configuration, file, vault, replace=replace, restart=restart, dry_run=dry_run))
    done = "can be restored" if dry_run else "restored, sealed"
    data = {"sha256": digest, "vaults": vaults, "restored": not dry_run}
    tell(data, "\n".join([f"SHA-256: {digest}", *vaults, done]), digest)


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except InvalidRequest as error:  # by the store as it is, not by how the command was called
        raise click.ClickException(str(error)) from None


def _summary(report: Report) -> Iterator[str]:
    yield f"{report.records} records of {report.vaults} vaults: {len(report.findings)} findings"
    if report.older:
        yield f"{report.older} are sealed by older versions of keyrings: `kms-cli store reseal` seals them anew"
    if report.opened < report.vaults:
        yield f"{report.vaults - report.opened} vaults were not opened: their sealed records may hide more"


def _data(report: Report) -> dict[str, Any]:
    return {
        "records": report.records,
        "vaults": report.vaults,
        "opened": report.opened,
        "sealed_by_older_versions": report.older,
        "findings": [
            {"kind": finding.kind, "key": finding.key.hex(), "place": finding.place, "text": finding.text}
            for finding in report.findings
        ],
    }


def _resealed(outcome: Outcome) -> Iterator[str]:
    yield f"{outcome.resealed} records sealed anew"
    if outcome.left_out:
        yield f"{outcome.left_out} vaults are sealed, or being restored, and were left out"
    if outcome.rotated:
        yield "a keyring was rotated meanwhile, or just before: run it again for what was sealed by then"
    if not (outcome.left_out or outcome.rotated):
        yield "none is left of an older version"
