"""`kms-layer`: the node."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
import structlog
import uvloop

from kms_actors import (
    __version__,
    config,
)
from kms_actors.cli.manners import FAILED, Program, heeds_nothing, tells
from kms_actors.errors import KmsError
from kms_actors.observe import log
from kms_actors.processes.loading import modules_kept
from kms_actors.system_errors import in_words

if TYPE_CHECKING:
    from kms_actors.cli.development import Development

F = TypeVar("F", bound=Callable[..., Any])

_OPTION: Final = "--configuration"


def _configuration(command: F) -> F:
    """Add the option that names the file."""
    help_text = "TOML file; docs/config/configuration.md lists its keys."
    return click.option(_OPTION, "path", type=click.Path(path_type=Path), metavar="FILE", help=help_text)(command)


@click.group(cls=Program, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@_configuration
@click.option(
    "--development",
    is_flag=True,
    help="Make keys and data under --directory, unseal by itself, prepare one vault and print its tokens. "
    "Never for data that matters: the master key lies in a file beside them.",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=Path(".dev"),
    show_default=True,
    help="Where --development keeps keys and data.",
)
@click.version_option(__version__)
@click.pass_context
def main(context: click.Context, path: Path | None, *, development: bool, directory: Path) -> None:
    """Run a node of Clever KMS.

    Stops on SIGTERM or SIGINT after the requests under way. With a command, runs none.
    """
    if context.invoked_subcommand is not None:
        heeds_nothing(context, but="path")
        context.obj = path
        return
    if path is None:
        raise click.UsageError(f"Missing option '{_OPTION}'.")
    if not development and context.get_parameter_source("directory") is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("--directory is for --development alone")
    prepared = _prepare_development(path, directory) if development else None
    configuration = prepared.configuration if prepared else config.load(path)
    log.configure(configuration.log)
    try:
        _serve(configuration, prepared)
    except (KmsError, OSError) as error:
        reason = in_words(error) if isinstance(error, OSError) else str(error)
        structlog.get_logger("kms_actors").error("cannot run", file=str(path), reason=reason)
        sys.exit(FAILED)


@main.command()
@_configuration
@tells(quiet="Print only what is not good.")
@click.pass_obj
def check(before: Path | None, /, path: Path | None) -> None:
    """Look at all that a node needs: configuration, store, cluster, clock, certificates, addresses. Changes nothing.

    The exit code is 1 where something is wrong, and 2 where that is the configuration.
    """
    path = _named(before, path)
    from kms_actors.cli.looking.findings import good, in_file, show  # noqa: PLC0415 - no start of a node needs them
    from kms_actors.cli.looking.node import look  # noqa: PLC0415

    configuration = config.load(path)
    known = good("configuration", f"{path}: every key is known and good")
    show(chain([known], (in_file(path, each) for each in look(configuration))))


@main.command()
@_configuration
@click.option("--serving", is_flag=True, help="Exit code 1 also while it is not initialised, or sealed.")
@tells(quiet="Print only what is not good.")
@click.pass_obj
def health(before: Path | None, /, path: Path | None, *, serving: bool) -> None:
    """Ask the node of this configuration, on this machine, how it is. The exit code is 1 if it does not answer.

    A unix socket is asked if there is one, else the first address. A sealed node answers, and needs no new start.
    """
    from kms_actors.cli.looking.findings import Kind, show  # noqa: PLC0415 - no start of a node needs them
    from kms_actors.cli.looking.health import look  # noqa: PLC0415

    found = look(config.load(_named(before, path)))
    show([found._replace(kind=Kind.WRONG) if serving and found.kind is Kind.WARNING else found])


def _named(before: Path | None, path: Path | None) -> Path:
    """Return the file, which may stand before the command or behind it."""
    named = path or before
    if named is None:
        raise click.UsageError(f"Missing option '{_OPTION}'.")
    return named


def _serve(configuration: config.Configuration, prepared: Development | None) -> None:
    with modules_kept():
        # Here, for they take most of a start, and what went wrong before needs none of them.
        from kms_actors.processes import node as node_process  # noqa: PLC0415
        from kms_actors.processes.accounts import drop_privileges  # noqa: PLC0415
        from kms_actors.processes.forking import fork_all  # noqa: PLC0415
        from kms_actors.processes.sockets import open_all  # noqa: PLC0415
    workers = bound = None
    if prepared is None and configuration.worker_count > 1:
        workers = fork_all(configuration)
    elif configuration.user is not None:
        bound = open_all(configuration)
        drop_privileges(configuration)
    uvloop.run(node_process.serve(configuration, workers, prepared.ready if prepared else None, bound))


def _prepare_development(path: Path, directory: Path) -> Development:
    from kms_actors.cli.development import Development  # noqa: PLC0415 - no other start needs it

    return Development.prepare(path, directory)
