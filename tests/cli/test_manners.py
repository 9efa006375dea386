"""The manners of the commands, each command of both programs alike: what is asked of one is asked of all.

The kind: a command that prints nothing a machine can read, an error that names no file or shows how the program is
written, a signal that ends in a traceback. Commands are found in the programs themselves, so a new one is asked, too.
"""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import click
import pytest
from click.testing import CliRunner, Result

from kms_actors.auth.keys import TokenKeys
from kms_actors.auth.wire import TokenRefused
from kms_actors.cli import manners
from kms_actors.cli.client import main as client
from kms_actors.cli.key_file import write_key_file
from kms_actors.cli.layer import main as layer
from kms_actors.cli.sender import RequestFailed, Sender
from kms_actors.config import ConfigurationError, SettingError
from kms_actors.errors import InvalidRequest, NotFound
from tests.support import documents

PROGRAMS: Final = {"kms-cli": client, "kms-layer": layer}
DOCUMENT: Final = Path(__file__).parents[2] / "docs/commands.md"
SERVER: Final = "http://127.0.0.1:1"
#: What these print is a log, as that of any service.
SERVICES: Final = {"kms-layer", "kms-cli kubernetes serve"}
#: What shows how the program is written.
INNER: Final = re.compile(r"\b[A-Z]\w*(?:Error|Exception|Refused|Failed)\b|Errno|Traceback|<class|object at 0x")


class Command(NamedTuple):
    """A command that does something, and the words that call it."""

    program: str
    words: tuple[str, ...]
    command: click.Command

    @property
    def name(self) -> str:
        return " ".join([self.program, *self.words])

    def run(self, *arguments: str, text: str = "", **environment: str) -> Result:
        return run(self.program, *self.words, *arguments, text=text, **environment)


def run(program: str, *arguments: str, text: str = "", **environment: str) -> Result:
    result = CliRunner().invoke(
        PROGRAMS[program], list(arguments), prog_name=program, input=text, env=dict(environment)
    )
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def _below(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        below = group.get_command(context, name)
        assert below is not None
        yield name, below


def _commands(program: str, command: click.Command, words: tuple[str, ...] = ()) -> Iterator[Command]:
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield Command(program, words, command)
    if isinstance(command, click.Group):
        for name, below in _below(command):
            yield from _commands(program, below, (*words, name))


def _groups(program: str, command: click.Command, words: tuple[str, ...] = ()) -> Iterator[Command]:
    if isinstance(command, click.Group):
        yield Command(program, words, command)
        for name, below in _below(command):
            yield from _groups(program, below, (*words, name))


COMMANDS: Final = [each for name, program in PROGRAMS.items() for each in _commands(name, program)]
GROUPS: Final = [each for name, program in PROGRAMS.items() for each in _groups(name, program)]
every_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
every_group = pytest.mark.parametrize("group", GROUPS, ids=lambda each: each.name)

#: What a command needs beside what it says it needs.
_FURTHER: Final = {
    "kms-cli audit verify": ("--key", "x"),
    "kms-cli audit prove": ("--at", "garbage:1"),
    "kms-cli audit tiles": ("--key", "x"),
    "kms-cli audit search": ("--path", "x"),
    "kms-cli biscuit": ("--addon-id", "v", "--privilege", "tenant"),
    "kms-cli biscuit inspect": ("AAAA",),
    "kms-cli biscuit attenuate": ("AAAA", "--ttl", "1h"),
    "kms-cli kubernetes serve": ("--key", "x"),
    "kms-cli migrate": ("--from", SERVER),
    "kms-layer": ("--configuration", "garbage"),
    "kms-layer check": ("--configuration", "garbage"),
    "kms-layer health": ("--configuration", "garbage"),
}
_ENVIRONMENT: Final = {"VAULT_ADDR": SERVER, "VAULT_TOKEN": "t", "MIGRATE_TOKEN": "t"}


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a file of garbage and a folder, and a server that does not answer, at once."""
    monkeypatch.chdir(tmp_path)
    Path("garbage").write_bytes(bytes(range(256)) * 4)
    Path("folder").mkdir()

    def unanswered(*_: object) -> None:
        raise RequestFailed(f"{SERVER}: no answer")

    monkeypatch.setattr(Sender, "send", unanswered)


def _is_path(parameter: click.Parameter) -> bool:
    return isinstance(parameter.type, (click.Path, click.File)) or parameter.name == "configuration"


def _given(parameter: click.Parameter, value: str) -> list[str]:
    return [value] if isinstance(parameter, click.Argument) else [parameter.opts[0], value]


def _needed(command: Command, but: click.Parameter | None = None) -> list[str]:
    """Return arguments that a command wants, if only to fail later."""
    words = list(_FURTHER.get(command.name, ()))
    if but is not None and but.opts[0] in words:  # it is given otherwise
        place = words.index(but.opts[0])
        del words[place : place + 2]
    for each in command.command.params:
        if each is but or not each.required:
            continue
        if _is_path(each):
            words += _given(each, "garbage")
        else:
            words += _given(each, SERVER if each.name == "address" else "x")
    return words


# What is printed.


@every_command
def test_what_is_printed_is_to_be_had_as_json_and_as_a_bare_value(command: Command) -> None:
    options = {name for each in command.command.params for name in each.opts}
    assert ({"--json", "--quiet"} <= options) == (command.name not in SERVICES)


@every_command
def test_both_at_once_are_refused(command: Command) -> None:
    if command.name in SERVICES:
        return
    done = command.run("--json", "--quiet", *_needed(command), **_ENVIRONMENT)
    assert done.exit_code == 2
    assert "not together" in json.loads(done.stderr)["errors"][-1]
    assert done.stdout == ""


@every_command
def test_with_json_errors_are_json_too_and_nothing_else_is_printed(command: Command) -> None:
    if command.name in SERVICES:
        return
    done = command.run("--json", *_needed(command), "--no-such-option", **_ENVIRONMENT)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--no-such-option" in json.loads(done.stderr)["errors"][0]


def _told(words: str, text: str = "") -> dict[str, object]:
    done = run("kms-cli", *words.split(), "--json", text=text)
    assert done.exit_code == 0, done.output
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def _bare(words: str, text: str = "") -> str:
    done = run("kms-cli", *words.split(), "--quiet", text=text)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def test_keys_tokens_and_shares_have_their_names(tmp_path: Path) -> None:
    assert set(_told("keys")) == {"key_file", "root_public_key", "service_public_key"}
    assert set(_told("keys --show-private")) == {
        *("root_public_key", "service_public_key", "root_private_key", "service_private_key")
    }
    made = _told("biscuit --addon-id v --privilege tenant")
    assert set(made) == {"token", "root_public_key", "service_public_key"}
    token = str(made["token"])
    narrowed = str(_told("biscuit attenuate - --ttl 1h", token)["token"])
    seen = _told("biscuit inspect - --keys kms-keys.toml", narrowed)
    assert (seen["kind"], seen["may"], seen["vault"], seen["verified"]) == ("tenant", "data of one vault", "v", True)
    assert _told("biscuit inspect", token)["verified"] is None
    shares = _told("master-key create")
    assert set(shares) == {"unseal_keys", "key_check_value"}
    text = "\n".join(map(str, shares["unseal_keys"]))  # type: ignore[call-overload]  # a list
    assert _told("master-key check", text) == {"key_check_value": shares["key_check_value"]}


def test_bare_values_are_what_scripts_take() -> None:
    line = _bare("keys")
    assert re.fullmatch(r'keys = \[\["[0-9a-f]{64}", "[0-9a-f]{64}"\]\]\n', line)
    token = _bare("biscuit --addon-id v --privilege tenant")
    assert re.fullmatch(r"[\w-]+\n", token)
    assert re.fullmatch(r"[\w-]+\n", _bare("biscuit attenuate - --ttl 1h", token))
    assert _bare("biscuit inspect", token) == ""
    shares = _bare("master-key create")
    assert len(shares.splitlines()) == 5
    assert re.fullmatch(r"[0-9a-f]{32}\n", _bare("master-key check", shares))


@pytest.mark.parametrize("words", ["master-key create", "keys", "biscuit --addon-id v --privilege tenant"])
def test_secrets_are_written_to_new_files_of_their_owner(words: str) -> None:
    write_key_file(Path("kms-keys.toml"), TokenKeys.generate())
    before = os.umask(0)
    try:
        done = run("kms-cli", *words.split(), "--output", "made")
    finally:
        os.umask(before)
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(Path("made").stat().st_mode) == 0o600
    content = Path("made").read_text()
    assert not [line for line in content.splitlines() if len(line) > 40 and line in done.output]
    again = run("kms-cli", *words.split(), "--output", "made")
    assert (again.exit_code, again.stderr) == (1, "Error: made: file exists\n")
    assert Path("made").read_text() == content


def test_a_token_is_replaced_when_that_is_wanted() -> None:
    write_key_file(Path("kms-keys.toml"), TokenKeys.generate())
    words = ["biscuit", "--addon-id", "v", "--privilege", "tenant", "--output", "made"]
    assert run("kms-cli", *words).exit_code == 0
    before = Path("made").read_text()
    assert run("kms-cli", *words, "--force").exit_code == 0
    assert Path("made").read_text() != before


def test_shares_in_a_file_are_taken_as_they_are() -> None:
    done = run("kms-cli", "master-key", "create", "--output", "shares", "--quiet")
    assert run("kms-cli", "master-key", "check", "--share-file", "shares", "--quiet").stdout == done.stdout


# How it fails.


@every_command
def test_help_needs_nothing(command: Command) -> None:
    done = command.run("--help", VAULT_ADDR="")
    assert done.exit_code == 0
    unexplained = [
        each.opts[0]
        for each in command.command.params
        if isinstance(each, click.Option) and not each.help and not each.metavar and each.type is click.STRING
    ]
    assert unexplained == []


@every_command
@pytest.mark.parametrize("bad", ["nowhere", "folder", "garbage", "nowhere/x"])
def test_a_wrong_file_is_named_in_words(command: Command, bad: str) -> None:
    write_key_file(Path("kms-keys.toml"), TokenKeys.generate())
    for path in filter(_is_path, command.command.params):
        done = command.run(*_given(path, bad), *_needed(command, path), **_ENVIRONMENT)
        assert INNER.search(done.output) is None, done.output
        if done.exit_code == 0:  # it was to be made
            Path(bad).unlink(missing_ok=True)
        else:
            assert done.exit_code in (1, 2)
        if bad == "folder" and path.name in {"configuration", "files", "source"}:
            assert "folder" in done.output, done.output


@every_command
def test_a_mistyped_option_is_known(command: Command) -> None:
    names = [name for each in command.command.params for name in each.opts if name.startswith("--")]
    name = max(names, key=len)
    done = command.run(f"--{name[3]}{name[2]}{name[4:]}")  # its first two letters exchanged
    assert done.exit_code == 2
    assert "Did you mean" in done.stderr
    assert name in done.stderr


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("kms-cli biscuit --ttl 1h attenuate - --path secret/data/a", "--ttl"),
        ("kms-cli biscuit --output made attenuate - --path secret/data/a", "--output"),
        ("kms-cli biscuit --addon-id v inspect -", "--addon-id"),
        ("kms-layer --development check --configuration garbage", "--development"),
        ("kms-layer --directory folder health --configuration garbage", "--directory"),
    ],
)
def test_an_option_before_a_command_that_does_not_heed_it_is_refused(words: str, option: str) -> None:
    """The kind: a token that was to end in an hour, and has no end."""
    done = run(*words.split(), text="AAAA")
    assert done.exit_code == 2
    assert f"{option} stands before" in done.stderr


def test_the_folder_of_development_is_for_development() -> None:
    done = run("kms-layer", "--configuration", "garbage", "--directory", "folder")
    assert (done.exit_code, "--directory is for --development alone" in done.stderr) == (2, True)


def test_options_of_output_and_the_environment_stand_where_they_like() -> None:
    write_key_file(Path("keys.toml"), TokenKeys.generate())
    made = run("kms-cli", "biscuit", "--addon-id", "v", "--privilege", "tenant", "--quiet", "--keys", "keys.toml")
    done = run("kms-cli", "biscuit", "--json", "inspect", text=made.stdout, KMS_KEYS_FILE="keys.toml")
    assert (done.exit_code, json.loads(done.stdout)["verified"]) == (0, True)


@every_group
def test_a_mistyped_command_is_known(group: Command) -> None:
    assert isinstance(group.command, click.Group)
    for name, _ in _below(group.command):
        done = group.run(f"{name[:-2]}{name[:-3:-1]}" if len(name) > 4 else f"{name}{name[-1]}")
        assert done.exit_code == 2
        assert name in done.stderr.partition("Did you mean")[2], done.stderr


@pytest.mark.parametrize("words", ["biscuit --privilege king", "transit rewrap --key k --format xml"])
def test_what_is_allowed_is_told(words: str) -> None:
    done = run("kms-cli", *words.split(), **_ENVIRONMENT)
    assert done.exit_code == 2
    assert "is not one of" in done.stderr


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (InvalidRequest("no such thing"), 2, "no such thing"),
        (NotFound("nothing there"), 1, "nothing there"),
        (TokenRefused("no token"), 1, "no token"),
        (RequestFailed("503"), 1, "503"),
        (SettingError("cluster.path", "no such file"), 1, "node.toml: key `cluster.path`: no such file"),
        (ConfigurationError(Path("node.toml"), ["not TOML"]), 2, "node.toml: not TOML"),
        (OSError(28, "No space left on device", "full"), 1, "full: no space left on device"),
        (OSError(5, "Input/output error"), 1, "input/output error"),
        (KeyboardInterrupt(), 130, "Ended by Ctrl-C."),
        (BrokenPipeError(32, "Broken pipe"), 141, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
@pytest.mark.parametrize("as_json", [False, True])
def test_each_error_has_a_code_and_words(raised: BaseException, code: int, says: str, as_json: bool) -> None:
    @click.group(cls=manners.Program)
    def program() -> None:
        pass

    @program.command()
    @manners.tells("Nothing.")
    @click.pass_context
    def fail(context: click.Context) -> None:
        manners.configured_by(context, Path("node.toml"))
        raise raised

    done = CliRunner().invoke(program, ["fail", *(["--json"] if as_json else [])])
    assert (done.exit_code, done.stdout) == (code, "")
    if code < 3:
        expected = json.dumps({"errors": [says]}, separators=(",", ":")) if as_json else f"Error: {says}"
        assert done.stderr.splitlines()[-1] == expected
    else:
        assert done.stderr.strip() == says


# How it ends, and on which terminals. Real processes.


def _node() -> str:
    """Write a configuration whose store is not there, and return its name."""
    Path("node.toml").write_text(
        '[cluster]\nbackend = "sqlite"\npath = "nowhere.sqlite"\n'
        '[master_keyring_provider]\nnamespace = "c"\nnode_name = "n"\n[authenticator]\nname = "biscuit"\n'
        f'[authenticator.provider]\nkeys = [["{"1" * 64}", "{"2" * 64}"]]\nservice = "s"\n'
    )
    return "node.toml"


def _started(name: str, *words: str | bytes, **options: object) -> subprocess.Popen[bytes]:
    program = str(Path(sys.executable).with_name(name))
    return subprocess.Popen([program, *words], stderr=subprocess.PIPE, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    "words",
    ["kms-cli keys --show-private", "kms-cli --help", "kms-layer --version", "kms-cli biscuit inspect --help"],
)
def test_who_reads_no_more_is_not_complained_to(words: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with _started(*words.split(), stdout=writer) as process:
        os.close(writer)
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(30) == 141


def test_bytes_that_are_no_text_end_no_command_with_a_traceback() -> None:
    """As a shell hands them over: in names of files they are taken, elsewhere refused."""
    write_key_file(Path("kms-keys.toml"), TokenKeys.generate())
    bad, address = b"\xff", ("--address", SERVER, "--token-file", "token")
    Path("token").write_text("t")
    made = ["biscuit", "--addon-id", "v", "--privilege", "tenant"]
    refused: list[list[str | bytes]] = [
        [*made, "--owner", bad],
        [*made, "--policy", bad],
        ["tenants", *address, "show", bad],
    ]
    for words in refused:
        with _started("kms-cli", *words, stdout=subprocess.PIPE) as process:
            said, complained = process.communicate(timeout=60)
        assert (process.returncode in {1, 2}, said) == (True, b""), words
        assert INNER.search(complained.decode(errors="replace")) is None, complained
    for form in ("--json", "--quiet"):
        with _started("kms-cli", *made, "--output", b"\xfe" + form.encode(), form, stdout=subprocess.PIPE) as process:
            said, complained = process.communicate(timeout=60)
        assert (process.returncode, complained) == (0, b"")
        assert form == "--quiet" or json.loads(said)["token_file"] == "\udcfe--json"


READERS: Final = ["biscuit inspect", "biscuit attenuate - --ttl 1h", "master-key check", "transit rewrap --key k"]


@pytest.mark.parametrize(
    "words", [*READERS, "audit search garbage --value -", "tenants delete v", "store check --prompt"]
)
@pytest.mark.parametrize("given", [b"", b"\xff\x00\n", None], ids=["nothing", "bytes", "closed"])
def test_whatever_is_on_standard_input_is_told_of_in_words(words: str, given: bytes | None) -> None:
    """As under a locale of UTF-8, which is strict, and as schedulers start a command, with streams closed."""
    configuration = ("--configuration", _node()) if words.startswith("store") else ()
    environment = {**os.environ, **_ENVIRONMENT, "PYTHONIOENCODING": "utf-8:strict"}
    end = "0<&-" if given is None else ""
    line = [str(Path(sys.executable).with_name("kms-cli")), *words.split(), *configuration]
    done = subprocess.run(
        ["sh", "-c", f'"$@" {end}', "sh", *line],
        input=given,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in {0, 1, 2}, done.stderr
    assert INNER.search(done.stderr.decode()) is None, done.stderr
    assert b"Warning" not in done.stderr


@pytest.mark.parametrize("where", [">&-", ">/dev/full"])
@pytest.mark.parametrize("words", ["--help", "--version", "keys --show-private", "master-key create --quiet"])
def test_what_cannot_be_printed_is_a_failure(words: str, where: str) -> None:
    """The kind: a token that went nowhere, and an exit code that says all is well."""
    line = [str(Path(sys.executable).with_name("kms-cli")), *words.split()]
    done = subprocess.run(["sh", "-c", f'"$@" {where}', "sh", *line], capture_output=True, timeout=60, check=False)
    reason = "bad file descriptor" if where == ">&-" else "no space left on device"
    assert (done.returncode, done.stderr.decode()) == (1, f"Error: standard output: {reason}\n")


def test_who_hears_nothing_of_an_error_gets_its_code() -> None:
    line = [str(Path(sys.executable).with_name("kms-cli")), "nonsense"]
    for where in ("2>&-", "2>/dev/full"):
        done = subprocess.run(
            ["sh", "-c", f'"$@" {where}', "sh", *line], capture_output=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.parametrize(
    "words",
    [
        "kms-layer check --configuration huge",
        "kms-cli biscuit inspect AAAA --keys huge",
        "kms-cli tenants --address http://127.0.0.1:1 --token-file huge list",
        "kms-cli audit verify garbage --anchors huge",
    ],
)
def test_a_file_is_not_read_whole_whatever_its_size_is(words: str) -> None:
    with Path("huge").open("wb") as file:
        file.truncate(1 << 40)
    done = run(*words.split())
    assert done.exit_code in {1, 2}
    assert "huge" in done.stderr
    assert "file too large" in done.stderr


def test_a_line_is_not_read_whole_whatever_its_size_is() -> None:
    with Path("huge").open("wb") as file:
        file.truncate(1 << 40)
    done = run("kms-cli", "transit", "rewrap", "--key", "k", "huge", **_ENVIRONMENT)
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (
        2,
        "Error: huge: line 1 has more than 32 MB: these are no ciphertexts",
    )


def test_a_check_that_could_not_look_is_no_finding() -> None:
    for words in ("biscuit inspect AAAA --keys nowhere", "master-key check --share-file nowhere"):
        assert run("kms-cli", *words.split()).exit_code == 2


def test_a_terminal_without_the_letters_gets_others() -> None:
    with _started(
        "kms-cli", "biscuit", "inspect", "--help",
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONIOENCODING": "latin-1"},
    ) as process:  # fmt: skip
        said, complained = process.communicate(timeout=60)
    assert (process.returncode, complained) == (0, b"")
    assert b"\\u2026" in said


def test_ctrl_c_ends_a_command_that_waits_for_a_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        environment = {
            **os.environ,
            **_ENVIRONMENT,
            "VAULT_ADDR": f"http://127.0.0.1:{server.getsockname()[1]}",
        }
        other = ("--from", environment["VAULT_ADDR"])
        process = _started("kms-cli", "migrate", *other, env=environment, stdout=subprocess.PIPE)
        with process, server.accept()[0] as asked:
            asked.recv(10)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in said
    assert said.endswith(b"Ended by Ctrl-C.\n")


@pytest.mark.parametrize(("variable", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)])
def test_colours_are_for_terminals_that_want_them(variable: dict[str, str], coloured: bool) -> None:
    leader, follower = pty.openpty()
    environment = {**os.environ, "VAULT_ADDR": SERVER, **variable}
    with _started("kms-cli", "doctor", env=environment, stdout=follower) as process:
        process.wait(30)
    os.close(follower)
    said = os.read(leader, 4096)
    os.close(leader)
    assert (b"\x1b[" in said) == coloured
    assert b"wrong" in said


# What shells complete.


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(program: str, shell: str) -> None:
    variable = f"_{program.upper().replace('-', '_')}_COMPLETE"
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("bash is not here")
    script = run(program, **{variable: f"{shell}_source"})
    assert script.exit_code == 0
    assert program in script.stdout
    begun = {"kms-cli": ("kms-cli master-key ch", "ch"), "kms-layer": ("kms-layer ch", "ch")}[program]
    words = {"COMP_WORDS": begun[0], "COMP_CWORD": begun[1] if shell == "fish" else str(begun[0].count(" "))}
    done = run(program, **{variable: f"{shell}_complete"}, **words)
    assert "check" in done.stdout
    assert "create" not in done.stdout


def test_bash_completes_a_command_and_an_option() -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not here")
    script = """
eval "$(_KMS_CLI_COMPLETE=bash_source kms-cli)"
complete -p kms-cli
completed() {
    COMPREPLY=() COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _kms_cli_completion kms-cli; echo "${COMPREPLY[@]}"
}
completed kms-cli master-key ch
completed kms-cli biscuit --privilege tenant
"""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[1:] == ["check", "tenant-operator tenant"]


# What is written of it.


def test_the_document_has_each_command() -> None:
    rows = re.findall(r"^\| `(kms-[^`]+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [each.name for each in COMMANDS if each.name not in SERVICES]


def test_the_commands_of_the_document_work() -> None:
    Path(".venv").symlink_to(Path(sys.executable).parents[1])
    (script,) = documents.commands(DOCUMENT.read_text(encoding="utf-8"), DOCUMENT.name).shells
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "complete -o nosort -F _kms_layer_completion kms-layer" in done.stdout
    assert '"kind":"tenant"' in done.stdout


def test_the_document_has_each_exit_code() -> None:
    codes = re.findall(r"^\| (\d+) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert list(map(int, codes)) == [0, manners.FAILED, manners.WRONG, manners.INTERRUPTED, manners.UNREAD]
