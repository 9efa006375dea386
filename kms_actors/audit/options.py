"""Options of audit devices: read from what was sent, checked, and refused by name where they would do nothing.

What a device may name (a file's name, an address) is checked here for its form alone; whether this scope may have it
is for the node's configuration to say, see `actors.audit.outlets`.

Source: Vault's pages "File audit device", "Socket audit device", "Syslog audit device".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

from kms_actors.audit import filters
from kms_actors.audit.filters import Filter
from kms_actors.durations import parse_duration
from kms_actors.errors import InvalidRequest

#: Special names in the place of a file's.
STDOUT: Final = "stdout"
DISCARD: Final = "discard"

TYPES: Final = ("file", "socket", "syslog")
PROOFS: Final = ("strict", "lagged", "off")
#: Seconds that a socket may take for what is written at once.
MAX_WRITE_SECONDS: Final = 10.0
MAX_PREFIX: Final = 128  # characters

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_TAG: Final = re.compile(r"[!-9;-Z\\^-~]{1,48}")  # printable, without space, `:` and `[` (RFC 3164)
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False", ""})
_EXECUTABLE: Final = 0o111
_OTHERS_WRITE: Final = 0o022
_SECOND: Final = 10**9

#: Codes of facilities (RFC 5424, section 6.2.1).
FACILITIES: Final[Mapping[str, int]] = {
    **{name: code for code, name in enumerate(("KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS"))},
    "UUCP": 8,
    "CRON": 9,
    "AUTHPRIV": 10,
    "FTP": 11,
    **{f"LOCAL{number}": 16 + number for number in range(8)},
}


class FileOptions(NamedTuple):
    """`name` is that of a file, or STDOUT or DISCARD. `mode` is None where it is left as it is."""

    name: str
    mode: int | None = 0o600
    proof: Literal["strict", "lagged", "off"] = "lagged"

    @property
    def proven(self) -> bool:
        """Whether its lines are those of a log."""
        return self.proof != "off" and self.name not in {STDOUT, DISCARD}


class SocketOptions(NamedTuple):
    """Where to, by `tcp`, `udp` or `unix`, and how many seconds a write may take."""

    address: str
    kind: Literal["tcp", "udp", "unix"] = "tcp"
    write_seconds: float = 2.0

    @property
    def url(self) -> str:
        """The address as the configuration names it: `tcp://10.0.0.5:9090`, `unix:///run/collector.sock`."""
        return f"{self.kind}://{self.address}"


class SyslogOptions(NamedTuple):
    """The facility's code, and what the lines are called by."""

    facility: int = FACILITIES["AUTH"]
    tag: str = "vault"


class Options(NamedTuple):
    """What a device does, beside where its lines go."""

    outlet: FileOptions | SocketOptions | SyslogOptions
    raw: bool = False  # values are shown as they are
    hmac_accessor: bool = True
    prefix: bytes = b""
    elide_lists: bool = False
    filter: Filter | None = None


def read(kind: str, sent: Mapping[str, str]) -> Options:
    """Return the options of a device of type `kind`; raises InvalidRequest, naming what is wrong."""
    if kind not in TYPES:
        raise InvalidRequest(f'unknown backend type: "{kind}"')
    options = dict(sent)
    _refuse(options)
    if options.pop("format", "json") != "json":
        raise InvalidRequest("option format: json is the only one")
    made = Options(
        _OUTLETS[kind](options),
        raw=_bool(options, "log_raw", default=False),
        hmac_accessor=_bool(options, "hmac_accessor", default=True),
        prefix=_prefix(options.pop("prefix", "")),
        elide_lists=_bool(options, "elide_list_responses", default=False),
        filter=filters.parse(text) if (text := options.pop("filter", "")) else None,
    )
    if options:
        raise InvalidRequest(f"unknown option: {min(options)}")
    return made


def _refuse(options: dict[str, str]) -> None:
    for name, why in _REFUSED.items():
        if options.get(name, "") in _FALSE:
            options.pop(name, None)
        else:
            raise InvalidRequest(f"option {name}: {why}")


_REFUSED: Final = {
    "exclude": "entries are whole; list_responses can be counted (elide_list_responses)",
    "fallback": "an entry that no filter lets through is not written; give one device no filter",
    "skip_test": "a device that cannot be written to would have all requests refused",
}


def _file(options: dict[str, str]) -> FileOptions:
    names = [options.pop(name) for name in ("file_path", "path") if name in options]
    if not names or not names[0]:
        raise InvalidRequest("file_path is required")
    if len(names) > 1:
        raise InvalidRequest("option path: another name of file_path, which is given too")
    name = names[0]
    if name not in {STDOUT, DISCARD} and (_NAME.fullmatch(name) is None or name.endswith(".")):
        raise InvalidRequest(
            "file_path names a file of the folder that the node keeps for this scope (docs/audit.md), such as "
            "audit.log: letters, digits, `_`, `-` and `.`, no folders; or it is stdout or discard"
        )
    kept = name not in {STDOUT, DISCARD}
    if not kept and options.pop("mode", ""):
        raise InvalidRequest(f"option mode: {name} is no file")
    proof = options.pop("proof", "lagged" if kept else "off")
    if not kept and proof != "off":
        raise InvalidRequest(f"option proof: {name} is no file, and nothing proves itself there")
    if proof not in PROOFS:
        raise InvalidRequest(f"option proof: one of {', '.join(PROOFS)}")
    return FileOptions(name, _mode(options.pop("mode", "")), proof)  # type: ignore[arg-type]  # one of them


def _mode(text: str) -> int | None:
    if not text:
        return 0o600
    if re.fullmatch(r"0?o?[0-7]{1,4}", text) is None:
        raise InvalidRequest("option mode: octal digits, such as 0640")
    mode = int(text.removeprefix("0o"), 8)
    if mode & _EXECUTABLE or mode & _OTHERS_WRITE or mode > 0o777:
        raise InvalidRequest("option mode: nobody may run the file, and its owner alone may write it")
    return mode or None


def _socket(options: dict[str, str]) -> SocketOptions:
    address, kind = options.pop("address", ""), options.pop("socket_type", "tcp")
    if not address:
        raise InvalidRequest("address is required")
    if kind not in {"tcp", "udp", "unix"}:
        raise InvalidRequest("option socket_type: one of tcp, udp, unix")
    if kind == "unix":
        good = address.startswith("/") and address.isprintable() and len(address) < 100
    else:
        good = re.fullmatch(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):[0-9]{1,5}", address) is not None
    if not good:
        raise InvalidRequest("option address: host:port, or the path of a unix socket")
    return SocketOptions(address, kind, _seconds(options.pop("write_timeout", "")))  # type: ignore[arg-type]


def _seconds(text: str) -> float:
    if not text:
        return SocketOptions("").write_seconds
    nanoseconds = int(text) * _SECOND if re.fullmatch(r"[0-9]{1,3}", text, re.ASCII) else parse_duration(text)
    if nanoseconds is None or not 0 < nanoseconds <= MAX_WRITE_SECONDS * _SECOND:
        raise InvalidRequest(f"option write_timeout: a duration of {MAX_WRITE_SECONDS:.0f}s at most, and not 0")
    return nanoseconds / _SECOND


def _syslog(options: dict[str, str]) -> SyslogOptions:
    facility, tag = options.pop("facility", "AUTH").upper(), options.pop("tag", "vault")
    if facility not in FACILITIES:
        raise InvalidRequest(f"option facility: one of {', '.join(FACILITIES)}")
    if _TAG.fullmatch(tag) is None:
        raise InvalidRequest("option tag: 1 to 48 printable characters without space, `:` and `[`")
    return SyslogOptions(FACILITIES[facility], tag)


_OUTLETS: Final[Mapping[str, Callable[[dict[str, str]], Any]]] = {
    "file": _file,
    "socket": _socket,
    "syslog": _syslog,
}


def _prefix(text: str) -> bytes:
    if len(text) > MAX_PREFIX or not text.isprintable():
        raise InvalidRequest(f"option prefix: {MAX_PREFIX} printable characters at most")
    return text.encode()


def _bool(options: dict[str, str], name: str, *, default: bool) -> bool:
    if name not in options:
        return default
    text = options.pop(name)
    if text not in _TRUE | _FALSE:
        raise InvalidRequest(f"option {name}: true or false")
    return text in _TRUE
