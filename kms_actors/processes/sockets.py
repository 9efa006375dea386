"""The sockets of listeners: opened once, before there are workers, and shared by these."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kms_actors.config import Configuration, Listener, SettingError
from kms_actors.processes.accounts import group_number, user_number
from kms_actors.system_errors import in_words
from kms_http.wire.entry import Entry, Forwarding
from kms_http.wire.listening import BACKLOG, listen
from kms_http.wire.tls import ReloadableContext

_NEW = ".new"  # behind the name of a unix socket, until it is ready


class Bound(NamedTuple):
    """A socket that listens, and the place of its listener in `Configuration.keyed_listeners`."""

    listener: int
    socket: socket.socket
    identity: tuple[int, int] | None = None  # of the file of a unix socket


@contextlib.contextmanager
def listening(host: str, port: int, table: str = "") -> Iterator[None]:
    """Turn the failure to listen at `host` and `port` of a table into SettingError."""
    try:
        yield
    except UnicodeError:  # two dots in a row, or more between two than a name may have
        raise SettingError(f"{table}host", f"cannot listen at {host}:{port}: no such host") from None
    except OSError as error:
        reason = in_words(error)
        key = f"{table}host" if "host" in reason or "address" in reason else f"{table}port"
        raise SettingError(key, f"cannot listen at {host}:{port}: {reason}") from None


def open_all(configuration: Configuration) -> list[Bound]:
    """Listen everywhere. Raises SettingError for a place where that cannot be, and then nowhere."""
    bound: list[Bound] = []
    try:
        for number, (prefix, listener) in enumerate(configuration.keyed_listeners):
            bound += [Bound(number, *opened) for opened in _open(prefix, listener)]
    except BaseException:
        close_all(configuration, bound)
        raise
    return bound


def close_all(configuration: Configuration, bound: Iterable[Bound]) -> None:
    """Close sockets, and remove the names of those that are unix sockets. Idempotent."""
    for each in bound:
        each.socket.close()
        path = configuration.keyed_listeners[each.listener][1].unix
        if path is not None and each.identity is not None and _identity(Path(path)) == each.identity:
            with contextlib.suppress(OSError):  # it may be root's to remove; the next node takes it over
                Path(path).unlink()  # else another node has taken the place


def entries(
    configuration: Configuration, bound: Sequence[Bound], contexts: Mapping[str, ReloadableContext]
) -> list[Entry]:
    """Return what a server serves by these sockets."""
    found = []
    for number, (prefix, listener) in enumerate(configuration.keyed_listeners):
        forwarding = None
        if listener.x_forwarded_for_authorized_addrs:
            forwarding = Forwarding(
                listener.x_forwarded_for_authorized_addrs,
                listener.x_forwarded_for_hop_skips,
                listener.x_forwarded_for_reject_not_authorized,
                listener.x_forwarded_for_reject_not_present,
            )
        found.append(
            Entry(
                [each.socket for each in bound if each.listener == number],
                contexts.get(prefix),
                listener.proxy_protocol_authorized_addrs,
                proxies_alone=listener.proxy_protocol_behavior == "deny_unauthorized",
                forwarding=forwarding,
                number=number,
                console=configuration.console_at(listener),
            )
        )
    return found


def owners(prefix: str, listener: Listener) -> tuple[int, int]:
    """Return the numbers of a unix socket's user and group, -1 for what is left as it is. Raises SettingError."""
    owner = -1 if listener.owner is None else user_number(f"{prefix}owner", listener.owner)
    return owner, -1 if listener.group is None else group_number(f"{prefix}group", listener.group)


def _open(prefix: str, listener: Listener) -> list[tuple[socket.socket, tuple[int, int] | None]]:
    if listener.unix is not None:
        return [(_open_unix(prefix, listener, Path(listener.unix)), _identity(Path(listener.unix)))]
    assert listener.host is not None
    assert listener.port is not None
    with listening(listener.host, listener.port, prefix):
        return [(opened, None) for opened in listen(listener.host, listener.port)]


def _open_unix(prefix: str, listener: Listener, path: Path) -> socket.socket:
    """Make a socket under another name and give it its own when it is as it is to be: nobody meets it before."""
    owner, group = owners(prefix, listener)
    _require_free(f"{prefix}unix", path)
    made = path.with_name(path.name + _NEW)
    opened = socket.socket(socket.AF_UNIX)
    try:
        made.unlink(missing_ok=True)
        opened.bind(str(made))
        try:
            os.chown(made, owner, group)
        except OSError as error:
            key = "owner" if listener.owner is not None else "group"
            raise SettingError(f"{prefix}{key}", f"cannot be given {path}: {in_words(error)}") from None
        made.chmod(int(listener.mode, 8))
        opened.listen(BACKLOG)
        made.rename(path)
    except OSError as error:
        opened.close()
        raise SettingError(f"{prefix}unix", f"cannot listen at {path}: {in_words(error)}") from None
    except SettingError:
        opened.close()
        made.unlink(missing_ok=True)
        raise
    return opened


def _require_free(key: str, path: Path) -> None:
    """Raise SettingError unless nothing is there, or a socket that nobody listens at any more."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise SettingError(key, f"cannot listen at {path}: {in_words(error)}") from None
    if not stat.S_ISSOCK(kind):
        raise SettingError(key, f"cannot listen at {path}: something is there that is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return
        except OSError as error:
            raise SettingError(key, f"cannot listen at {path}: {in_words(error)}") from None
    raise SettingError(key, f"cannot listen at {path}: another program uses it")


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from all others, whatever it is called; None where there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
