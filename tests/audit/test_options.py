"""Options of audit devices: read, and refused by name."""

from __future__ import annotations

import pytest

from kms_actors.audit.options import FileOptions, SocketOptions, SyslogOptions, read
from kms_actors.errors import InvalidRequest


def test_a_file_has_what_vaults_have() -> None:
    options = read("file", {"file_path": "audit.log", "mode": "0640", "hmac_accessor": "false", "prefix": "x "})
    assert options.outlet == FileOptions("audit.log", 0o640)
    assert (options.hmac_accessor, options.prefix, options.raw) == (False, b"x ", False)
    assert read("file", {"path": "a"}).outlet == FileOptions("a")
    assert read("file", {"file_path": "a", "mode": "0000"}).outlet == FileOptions("a", None)
    assert read("file", {"file_path": "stdout"}).outlet == FileOptions("stdout", 0o600, "off")
    assert read("file", {"file_path": "discard", "proof": "off"}).outlet == FileOptions("discard", 0o600, "off")


def test_sockets_and_the_systems_log() -> None:
    socket = read("socket", {"address": "127.0.0.1:9", "socket_type": "udp", "write_timeout": "500ms"}).outlet
    assert socket == SocketOptions("127.0.0.1:9", "udp", 0.5)
    assert isinstance(socket, SocketOptions)
    assert socket.url == "udp://127.0.0.1:9"
    assert read("socket", {"address": "/run/x.sock", "socket_type": "unix"}).outlet.__class__ is SocketOptions
    assert read("syslog", {}).outlet == SyslogOptions(4, "vault")
    assert read("syslog", {"facility": "local3", "tag": "kms"}).outlet == SyslogOptions(19, "kms")


@pytest.mark.parametrize(
    "name", ["/etc/cron.d/x", "../x", "a/b", ".hidden", "", "x\n", "a\0b", "x.", "ü", "n" * 129, "-x", "STDOUT/"]
)
def test_a_file_is_a_name_and_never_a_path(name: str) -> None:
    """What an API caller names is no folder, and nothing outside of that of its scope."""
    with pytest.raises(InvalidRequest, match="file_path"):
        read("file", {"file_path": name})


@pytest.mark.parametrize(
    "mode", ["0755", "0700", "777", "0602", "0620", "1600", "zz", "-1", "8", "0o111", "00000600"]
)
def test_a_file_can_be_run_by_nobody(mode: str) -> None:
    with pytest.raises(InvalidRequest, match="option mode"):
        read("file", {"file_path": "x", "mode": mode})


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        ("nosuch", {}, "unknown backend type"),
        ("file", {}, "file_path is required"),
        ("file", {"file_path": "x", "path": "y"}, "option path: another name of file_path"),
        ("file", {"file_path": "x", "format": "jsonx"}, "option format"),
        ("file", {"file_path": "x", "log_raw": "perhaps"}, "option log_raw"),
        ("file", {"file_path": "x", "exclude": "[]"}, "option exclude"),
        ("file", {"file_path": "x", "fallback": "true"}, "option fallback"),
        ("file", {"file_path": "x", "skip_test": "true"}, "option skip_test"),
        ("file", {"file_path": "x", "proof": "perhaps"}, "option proof"),
        ("file", {"file_path": "stdout", "proof": "strict"}, "option proof: stdout is no file"),
        ("file", {"file_path": "discard", "proof": "lagged"}, "option proof: discard is no file"),
        ("file", {"file_path": "stdout", "mode": "0600"}, "option mode: stdout is no file"),
        ("file", {"file_path": "x", "prefix": "a\nb"}, "option prefix"),
        ("file", {"file_path": "x", "address": "y"}, "unknown option: address"),
        ("file", {"file_path": "x", "filter": "("}, "invalid filter"),
        ("socket", {}, "address is required"),
        ("socket", {"address": "nowhere"}, "option address"),
        ("socket", {"address": "x", "socket_type": "unix"}, "option address"),
        ("socket", {"address": "a:1", "socket_type": "http"}, "option socket_type"),
        ("socket", {"address": "a:1", "write_timeout": "0"}, "option write_timeout"),
        ("socket", {"address": "a:1", "write_timeout": "1h"}, "option write_timeout"),
        ("syslog", {"facility": "x"}, "option facility"),
        ("syslog", {"tag": "a b"}, "option tag"),
    ],
)
def test_what_would_do_nothing_is_refused_by_name(kind: str, options: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        read(kind, options)


def test_what_asks_for_nothing_is_taken() -> None:
    read("file", {"file_path": "x", "fallback": "false", "exclude": "", "filter": ""})
