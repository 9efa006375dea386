"""What all commands of both programs have in common: the form of what they print, how they fail, how they end.

Exit codes: 0, done; 1, it failed, or something was found; 2, it was called wrongly, or a configuration is wrong;
130, Ctrl-C; 141, whoever read the output went away.
"""

from __future__ import annotations

import contextlib
import enum
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn, TextIO, TypeVar

import click
import msgspec

from kms_actors.auth.wire import TokenRefused
from kms_actors.cli.sender import RequestFailed
from kms_actors.cli.surroundings import FORM
from kms_actors.config import ConfigurationError
from kms_actors.errors import InvalidRequest, KmsError
from kms_actors.system_errors import in_words

F = TypeVar("F", bound=Callable[..., Any])

FAILED: Final = 1
WRONG: Final = 2
#: As shells tell of a process that a signal ended.
INTERRUPTED: Final = 128 + signal.SIGINT
UNREAD: Final = 128 + 13  # SIGPIPE, which some systems do not have

_JSON: Final = "--json"
_CONFIGURATION: Final = "kms_actors.configuration"
#: What errors begin with that are about a key of the configuration.
_KEY: Final = "key `"


class Form(enum.Enum):
    """How a command prints."""

    WORDS = "words"
    JSON = "json"
    BARE = "bare"


class Program(click.Group):
    """A program: no error of the service, of the system or of a person ends it with a traceback.

    `later` are commands by name, each as `module:attribute`, imported when they are wanted: a shell that completes
    waits for what a program imports.
    """

    def __init__(self, *args: Any, later: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self._later = dict(later or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self.commands, *self._later})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = self._later.get(cmd_name)
        if place is not None and cmd_name not in self.commands:
            module, _, name = place.partition(":")
            self.add_command(getattr(import_module(module), name), cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.list_commands(ctx):
            for name in self._later:  # one of them may have been meant
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if os.environ.get("NO_COLOR"):
            extra.setdefault("color", False)
        try:
            return super().make_context(info_name, args, parent, **extra)
        except BrokenPipeError:  # of help, say
            _drop(sys.stdout)
            raise click.exceptions.Exit(UNREAD) from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002, RUF100 - click's own signature
        **extra: Any,
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        words = list(sys.argv[1:] if args is None else args)
        _open_what_is_closed()
        _print_anything(sys.stdout)
        try:
            code = super().main(words, prog_name, complete_var, standalone_mode=False, **extra)
        except click.ClickException as error:
            _refuse(error, as_json=_JSON in words)
        except click.Abort as ended:
            interrupted = isinstance(ended.__context__, KeyboardInterrupt)
            click.echo("Ended by Ctrl-C." if interrupted else "Nothing was done.", err=True)
            sys.exit(INTERRUPTED if interrupted else FAILED)
        except OSError as error:  # of help, say
            _refuse(click.ClickException(told(_of_output(error))), as_json=_JSON in words)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _drop(sys.stdout)
            raise click.exceptions.Exit(UNREAD) from None
        except InvalidRequest as error:
            raise click.UsageError(_named(ctx, str(error))) from None
        except ConfigurationError as error:
            raise wrong(str(error)) from None
        except (KmsError, TokenRefused, RequestFailed) as error:
            raise click.ClickException(_named(ctx, str(error))) from None
        except UnicodeEncodeError:  # bytes that a shell has handed over as they were
            raise click.UsageError("what was given is no text in UTF-8") from None
        except OSError as error:
            raise click.ClickException(told(error)) from None


class _CalledWrongly(click.ClickException):
    exit_code = WRONG


def tells(quiet: str) -> Callable[[F], F]:
    """Add --json and --quiet, which `tell` heeds; `quiet` says what is printed then."""

    def added(command: F) -> F:
        for name, form, text in (
            ("--quiet", Form.BARE, quiet),
            (_JSON, Form.JSON, "Print JSON, a line each; errors are JSON on standard error."),
        ):
            command = click.option(name, is_flag=True, expose_value=False, callback=_chosen(name, form), help=text)(
                command
            )
        return command

    return added


def form() -> Form:
    """Return how the command that runs is to print."""
    context = click.get_current_context(silent=True)
    chosen: Form = Form.WORDS if context is None else context.meta.get(FORM, Form.WORDS)
    return chosen


def tell(data: Any, words: str, bare: str = "", *, err: bool = False) -> None:
    """Print what there is to tell, in the form that was asked for: JSON of `data`, or words, or the value alone."""
    if form() is Form.BARE and not bare:
        return
    try:
        click.echo(_as_json(data) if form() is Form.JSON else words if form() is Form.WORDS else bare, err=err)
    except OSError as error:
        raise _of_output(error) from None


def progress(steps: Any = None, **options: Any) -> Any:
    """Return a progress bar on standard error, which who asks for JSON or a bare value does not see."""
    return click.progressbar(steps, file=sys.stderr, hidden=form() is not Form.WORDS, **options)


def configured_by(context: click.Context | None, path: Path) -> None:
    """Note the configuration of a command: errors about its keys name it."""
    if context is not None:
        context.meta[_CONFIGURATION] = path


def heeds_nothing(context: click.Context, *, but: str = "") -> None:
    """Refuse options that stand before another command, which would do without them in silence."""
    for each in context.command.params:
        given = each.name and context.get_parameter_source(each.name) is click.core.ParameterSource.COMMANDLINE
        if given and each.expose_value and each.name != but:
            text = f"{each.opts[0]} stands before `{context.invoked_subcommand}`, which does not heed it there"
            raise click.UsageError(text, context)


def named(path: Path, text: str) -> str:
    """Put the file before what is said of a key in it."""
    return f"{path}: {text}" if text.startswith(_KEY) else text


def wrong(text: str) -> click.ClickException:
    """Return what ends a command as called wrongly, without its usage: a configuration is wrong, say."""
    return _CalledWrongly(text)


def not_looked(error: KmsError | OSError) -> click.ClickException:
    """Return what ends a command that could not look: 2, for 1 is that it did, and found something."""
    text = told(error) if isinstance(error, OSError) else str(error)
    return wrong(_named(click.get_current_context(), text))


def told(error: OSError) -> str:
    """Return what the system refuses, and why, in words."""
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))]
    return ": ".join([*names[:1], in_words(error)])


def _chosen(name: str, form_: Form) -> Callable[[click.Context, click.Parameter, bool], None]:
    def choose(context: click.Context, _: click.Parameter, given: bool) -> None:  # noqa: FBT001, RUF100 - click's
        if not given:
            return
        if context.meta.setdefault(FORM, form_) is not form_:
            raise click.UsageError(f"{name}: not together with another form of output", context)

    return choose


def _named(context: click.Context, text: str) -> str:
    path = context.meta.get(_CONFIGURATION)
    return text if path is None else named(path, text)


def _as_json(data: Any) -> str:
    """Return data as JSON; what is no text in UTF-8, as names of files may be, is escaped in it."""
    try:
        return msgspec.json.encode(data).decode()
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(data), separators=(",", ":"))


def _print_anything(stream: TextIO) -> None:
    """Have a stream escape what its terminal has no letters for, as standard error does."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _of_output(error: OSError) -> OSError:
    """Return an error of printing with the name of what could not be written."""
    return OSError(error.errno, error.strerror, "standard output")


def _open_what_is_closed() -> None:
    """Give a program the streams that its caller has closed, before a file of ours takes the place of one.

    Nothing is read there, what is to be printed fails as on a full disk, and what goes wrong is told to nobody.
    """
    streams = (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w"))
    for name, flags, mode in streams:
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8"))
    if isinstance(sys.stdin, io.TextIOWrapper):  # who reads bytes that are no text says what is wrong with them
        sys.stdin.reconfigure(errors="surrogateescape")


def _drop(stream: TextIO) -> None:
    """Let what is left in buffers go nowhere: at the end, Python would tell of it."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _refuse(error: click.ClickException, *, as_json: bool) -> NoReturn:
    with contextlib.suppress(OSError):  # the exit code says it, too
        if as_json:
            click.echo(_as_json({"errors": error.format_message().splitlines()}), err=True)
        else:
            error.show()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _drop(stream)
    sys.exit(error.exit_code)
