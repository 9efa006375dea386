"""The database file of the SQLite engine: creating and opening it, its tables, its few statements."""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kms_actors.errors import FormatError, StoreError, StoreUnavailable
from kms_actors.store.api import Entry

#: Marks the file as ours ("CKMS"), so that another program's database is never written to.
APPLICATION_ID: Final = 0x434B4D53
#: Version of the tables below; what the records mean is the header's business.
LAYOUT: Final = 1
#: Seconds to wait for another process's lock.
LOCK_SECONDS: Final = 5.0

_TABLES: Final = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS kv (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commits (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO commits VALUES (1, 0);
"""
_MARKS: Final = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {LAYOUT}; COMMIT;"
_RANGE: Final = "SELECT key, value FROM kv WHERE key >= ? AND key < ? ORDER BY key {} LIMIT ?"
_KEYS: Final = "SELECT key FROM kv WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
_ASCENDING: Final = _RANGE.format("ASC")
_DESCENDING: Final = _RANGE.format("DESC")


def open_file(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """Return a reading and a writing connection; make the file (0600), its directory (0700), its tables if absent.

    Waits for locks of other processes, so it is not for the event loop.

    Raises:
        StoreUnavailable: it cannot be opened; the text names the path.
        FormatError: a newer program made it.

    """
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            _create(path)
            _set_up(path)
            return connect(path, read_only=True), connect(path, read_only=False)
        except OSError as error:
            raise StoreUnavailable(f"store path {path}: {error.strerror}") from error
        except sqlite3.Error as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise StoreUnavailable(f"store path {path}: {error}") from error
        time.sleep(0.01)


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open a connection that any one thread at a time may use; an error for which `is_busy` instead of a wait."""
    # mode=rw: a file that has gone is an error, not a new empty database.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")  # the first statement reads the file: it may meet a lock
        connection.execute(f"PRAGMA query_only = {int(read_only)}")
        connection.execute("PRAGMA journal_size_limit = 67108864")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether trying again soon may succeed."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def translate(error: sqlite3.Error) -> StoreError:
    """Return the store's error for one of SQLite."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return FormatError(f"the store's file is damaged ({name})")
    return StoreUnavailable(f"the store does not answer ({name})")


def read_version(connection: sqlite3.Connection) -> int:
    """Return the number of committed transactions. First in a transaction, it fixes the snapshot."""
    version: int = connection.execute("SELECT version FROM commits").fetchone()[0]
    return version


def read_value(connection: sqlite3.Connection, key: bytes) -> bytes | None:
    """Return the value at `key`."""
    row = connection.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None


def read_values(connection: sqlite3.Connection, keys: Sequence[bytes]) -> Sequence[bytes | None]:
    """Return the values at some keys, in one statement: half the time of as many."""
    values: Sequence[bytes | None] = connection.execute(_values(len(keys)), keys).fetchone()
    return values


@functools.cache
def _values(number: int) -> str:
    return f"SELECT {', '.join(['(SELECT value FROM kv WHERE key = ?)'] * number)}"  # noqa: S608 - of no input


def read_range(
    connection: sqlite3.Connection, begin: bytes, end: bytes, *, limit: int, reverse: bool = False
) -> list[Entry]:
    """Return at most `limit` entries with begin <= key < end."""
    return connection.execute(_DESCENDING if reverse else _ASCENDING, (begin, end, limit)).fetchall()


def read_keys(connection: sqlite3.Connection, begin: bytes, end: bytes, *, limit: int) -> list[bytes]:
    """Return the first keys with begin <= key < end."""
    return [key for (key,) in connection.execute(_KEYS, (begin, end, limit))]


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_dir():
        raise StoreUnavailable(f"store path {path}: is a directory")
    # Only ever a new file: closing a descriptor of an open database would drop this process's locks on it.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _set_up(path: Path) -> None:
    with contextlib.closing(connect(path, read_only=False)) as connection:
        ours = _check_owner(path, connection)
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreUnavailable(f"store path {path}: the file system cannot keep a write-ahead log")
        if not ours:
            connection.executescript(_TABLES + _MARKS)


def _check_owner(path: Path, connection: sqlite3.Connection) -> bool:
    """Return whether the file has our tables; False means it is empty."""
    # Tables first: whoever makes them marks the file in the same transaction, so tables seen have their mark.
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    layout = connection.execute("PRAGMA user_version").fetchone()[0]
    if owner != APPLICATION_ID and (owner or tables):
        raise StoreUnavailable(f"store path {path}: the database of another program")
    if layout > LAYOUT:
        raise FormatError(f"store path {path}: made by a newer program (layout {layout}, known {LAYOUT})")
    return bool(owner == APPLICATION_ID)
