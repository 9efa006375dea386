"""The commands of `kms-cli tenants`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from kms_actors.cli.manners import Form, form, tell, tells
from kms_actors.cli.sender import RequestFailed
from kms_actors.cli.surroundings import token_from
from kms_actors.cli.tenants import table
from kms_actors.cli.tenants.client import TenantsClient
from kms_actors.cli.tenants.export import export as exported
from kms_actors.tenancy.records import KINDS

F = TypeVar("F", bound=Callable[..., Any])

_BOUND: Final = "a number, 0 for no bound, or `default` for the configuration's"


@click.group()
@click.option("--address", envvar="VAULT_ADDR", show_envvar=True, metavar="URL")
@click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE", help="Instead of VAULT_TOKEN.")
@click.pass_context
def tenants(context: click.Context, *, address: str | None, token_file: Path | None) -> None:
    """Look after the vaults of a cluster, as its operator. Nothing of a vault is opened.

    The token comes from VAULT_TOKEN or a file: a biscuit with the operator's right.

    \b
    kms-cli tenants list
    kms-cli tenants create vault_1 --secrets 10000 --bytes 100000000 --rate 200
    kms-cli tenants delete vault_1 --wait 7d
    """  # noqa: D301  click keeps lines after \b

    def connected() -> TenantsClient:
        if address is None:
            raise click.UsageError("Missing option '--address' (env var: 'VAULT_ADDR').")
        client = TenantsClient(address, token_from(token_file))
        context.call_on_close(client.close)
        return client

    context.obj = connected  # not before the command is known: its help wants no server


def _pass_client(command: F) -> F:
    """Hand a command its way to the server."""

    @click.pass_obj
    def handed(connected: Callable[[], TenantsClient], /, **given: Any) -> Any:
        return command(connected(), **given)

    return update_wrapper(handed, command)  # type: ignore[return-value]  # as click's own


def _limits(command: F) -> F:
    """Add the options of what a vault is given."""
    for kind in reversed(KINDS):
        command = click.option(f"--{kind}", metavar="N", help=f"Most {kind}: {_BOUND}.")(command)
    for name, text in (
        ("--block", "Of who asks too often: how long nothing is let through, such as 10s."),
        ("--interval", "Of the rate, such as 1m.  [default: 1s]"),
        ("--rate", "Requests that a node lets through in an interval, all addresses together."),
    ):
        command = click.option(name, metavar="N" if name == "--rate" else "TIME", help=text)(command)
    return command


def _sent(given: dict[str, str | None]) -> dict[str, Any]:
    names = {"rate": "rate", "interval": "interval", "block": "block_interval"} | {k: f"max_{k}" for k in KINDS}
    return {names[name]: value for name, value in given.items() if value is not None}


def _show(tenant: dict[str, Any]) -> None:
    tell(tenant, "\n".join(table.details(tenant)), tenant["state"])


_tells: Final = tells("Print the state of the vault alone.")


@tenants.command("list")
@tells("Print the ids alone.")
@_pass_client
def list_tenants(client: TenantsClient) -> None:
    """List all vaults, page by page, in the order of their ids."""
    if form() is Form.WORDS:
        for line in table.lines(client.tenants()):
            click.echo(line)
        return
    for tenant in client.tenants():
        tell(tenant, "", tenant["vault_id"])


@tenants.command()
@click.argument("vault_id")
@_tells
@_pass_client
def show(client: TenantsClient, *, vault_id: str) -> None:
    """Show all that is told of one vault."""
    _show(client.ask("GET", vault_id))


@tenants.command()
@click.argument("vault_id")
@_limits
@_tells
@_pass_client
def create(client: TenantsClient, /, *, vault_id: str, **given: str | None) -> None:
    """Create a vault with limits, for its own operator to initialise: the shares are his alone."""
    try:
        client.ask("GET", vault_id)
    except RequestFailed as error:
        if not str(error).startswith("404"):
            raise
    else:
        raise click.ClickException(f"there is a vault {vault_id}: `kms-cli tenants limit` changes its limits")
    _show(client.ask("POST", vault_id, body=_sent(given)))


@tenants.command()
@click.argument("vault_id")
@_limits
@click.option("--no-rate", is_flag=True, help="Lift the limit of its requests.")
@_tells
@_pass_client
def limit(client: TenantsClient, /, *, vault_id: str, no_rate: bool, **given: str | None) -> None:
    """Change what a vault may have, and how often it may be asked. Its own operator cannot."""
    client.ask("GET", vault_id)  # which must be there
    _show(client.ask("POST", vault_id, body={**_sent(given), **({"lift_rate": True} if no_rate else {})}))


@tenants.command()
@click.argument("vault_id")
@tells("Print nothing.")
@_pass_client
def seal(client: TenantsClient, *, vault_id: str) -> None:
    """Seal a vault on all nodes. Its operators unseal it with their shares."""
    client.ask("POST", vault_id, "seal")
    tell({"vault_id": vault_id, "sealed": True}, f"{vault_id} is sealed")


@tenants.command()
@click.argument("vault_id")
@click.option("--wait", metavar="TIME", help="How long it can be kept, such as 7d.  [default: the configuration's]")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_tells
@_pass_client
def delete(client: TenantsClient, *, vault_id: str, wait: str | None, yes: bool) -> None:
    """Seal a vault now, and delete it once the waiting time is over. `cancel` keeps it until then."""
    if not yes:
        click.confirm(f"Seal {vault_id} now, and delete it later?", abort=True, err=True)
    _show(client.ask("DELETE", vault_id, query={} if wait is None else {"waiting_period": wait}))


@tenants.command()
@click.argument("vault_id")
@_tells
@_pass_client
def cancel(client: TenantsClient, *, vault_id: str) -> None:
    """Keep a vault that was to be deleted, if none of it is gone yet. It stays sealed."""
    _show(client.ask("POST", vault_id, "keep"))


@tenants.command("export")
@click.argument("vault_id")
@click.option("--output", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Never overwritten.")
@click.option("--resume", is_flag=True, help="Go on with an export that was interrupted.")
@tells("Print the SHA-256 of the export alone.")
@_pass_client
def export_tenant(client: TenantsClient, *, vault_id: str, output: Path, resume: bool) -> None:
    """Fetch a vault's sealed records into a file, as `kms-cli backup` writes it; `kms-cli restore` takes it."""
    with _counting("export") as advance:
        made = exported(client, vault_id, output, resume=resume, advance=advance)
    tell(made._asdict(), str(made), made.sha256)


@tenants.command()
@click.argument("vault_id")
@_tells
@_pass_client
def measure(client: TenantsClient, *, vault_id: str) -> None:
    """Walk through all records of a vault, count them, and have the node keep what was found.

    Counts are set right by it, too: those of a vault from before there were counts, or of a backup.
    """
    records = size = 0
    counts: dict[str, Counter[str]] = {}
    place = ""
    with _counting("measure") as advance:
        while True:
            page = client.ask("GET", vault_id, "measure", query={"after": place})
            records, size, place = records + page["records"], size + page["bytes"], page["next"]
            for kind, mounts in page["counts"].items():
                counts.setdefault(kind, Counter()).update(mounts)
            advance(page["records"])
            if not place:
                break
        found = {"records": records, "bytes": size, "counts": counts}
        _show(client.ask("POST", vault_id, "measure", body=found))


@contextmanager
def _counting(label: str) -> Iterator[Callable[[int], None]]:
    """Show on standard error how many records there were so far."""
    total = 0
    seen = sys.stderr.isatty() and form() is Form.WORDS

    def advance(records: int) -> None:
        nonlocal total
        total += records
        if seen:
            click.echo(f"\r{label}: {total} records", nl=False, err=True)

    yield advance
    if seen:
        click.echo(err=True)
