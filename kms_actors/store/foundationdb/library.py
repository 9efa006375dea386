"""The FoundationDB client library: loaded once a process, and the C functions that the engine calls.

The binding loads the library and runs its network thread. Its functions are called here without its
wrappers, which cost more than the calls.
"""

from __future__ import annotations

import ctypes
import os
import threading
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import fdb

from kms_actors.errors import StoreUnavailable

_INT, _ADDRESS, _BYTES = ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p
_OUT_INT, _OUT_ADDRESS = ctypes.POINTER(_INT), ctypes.POINTER(_ADDRESS)
_KEY: Final = (_BYTES, _INT)
_SELECTOR: Final = (_BYTES, _INT, _INT, _INT)

#: Result type, then argument types, as in the C header of API version 730.
_FUNCTIONS: Final[dict[str, tuple[Any, ...]]] = {
    "fdb_get_error": (_BYTES, _INT),
    "fdb_database_create_transaction": (_INT, _ADDRESS, _OUT_ADDRESS),
    "fdb_transaction_destroy": (None, _ADDRESS),
    "fdb_transaction_set_option": (_INT, _ADDRESS, _INT, *_KEY),
    "fdb_transaction_get_read_version": (_ADDRESS, _ADDRESS),
    "fdb_transaction_get": (_ADDRESS, _ADDRESS, *_KEY, _INT),
    "fdb_transaction_get_range": (_ADDRESS, _ADDRESS, *_SELECTOR, *_SELECTOR, *[_INT] * 6),
    "fdb_transaction_set": (None, _ADDRESS, *_KEY, *_KEY),
    "fdb_transaction_clear": (None, _ADDRESS, *_KEY),
    "fdb_transaction_clear_range": (None, _ADDRESS, *_KEY, *_KEY),
    "fdb_transaction_atomic_op": (None, _ADDRESS, *_KEY, *_KEY, _INT),
    "fdb_transaction_add_conflict_range": (_INT, _ADDRESS, *_KEY, *_KEY, _INT),
    "fdb_transaction_watch": (_ADDRESS, _ADDRESS, *_KEY),
    "fdb_transaction_commit": (_ADDRESS, _ADDRESS),
    "fdb_transaction_on_error": (_ADDRESS, _ADDRESS, _INT),
    "fdb_future_is_ready": (_INT, _ADDRESS),
    "fdb_future_set_callback": (_INT, _ADDRESS, _ADDRESS, _ADDRESS),
    "fdb_future_cancel": (None, _ADDRESS),
    "fdb_future_destroy": (None, _ADDRESS),
    "fdb_future_get_error": (_INT, _ADDRESS),
    "fdb_future_get_int64": (_INT, _ADDRESS, ctypes.POINTER(ctypes.c_int64)),
    "fdb_future_get_value": (_INT, _ADDRESS, _OUT_INT, _OUT_ADDRESS, _OUT_INT),
    "fdb_future_get_keyvalue_array": (_INT, _ADDRESS, _OUT_ADDRESS, _OUT_INT, _OUT_INT),
}

_NETWORK_RUNS: Final = 2000  # code of the binding when its network thread runs already

_loading = threading.Lock()
_process = 0  # the one that runs the network thread


def load(api_version: int) -> ctypes.CDLL:
    """Load the library, start its network thread, and return its functions. Again and again, if need be.

    Raises:
        StoreUnavailable: no library, another API version, or a fork since; the text says what to do.

    """
    global _process  # noqa: PLW0603 -- the library allows one network thread a process
    with _loading:
        if _process not in (0, os.getpid()):
            raise StoreUnavailable("FoundationDB was opened before a fork; open it in the new process only")
        _select(api_version)
        _start_network()
        _process = os.getpid()
        return _declare()


def open_database(cluster_file: Path, options: dict[str, int]) -> Any:
    """Return the binding's handle of a database; `options` are of the database.

    Raises:
        StoreUnavailable: the cluster file cannot be read, or is none.

    """
    try:
        cluster_file.read_bytes()
    except OSError as error:
        raise StoreUnavailable(f"cluster file {cluster_file}: {error.strerror}") from error
    try:
        database = fdb.impl.create_database(str(cluster_file))
    except fdb.impl.FDBError as error:
        raise StoreUnavailable(f"cluster file {cluster_file}: {error.description.decode()}") from error
    for name, value in options.items():
        getattr(database.options, f"set_{name}")(value)
    return database


def _select(api_version: int) -> None:
    try:
        fdb.api_version(api_version)
    except RuntimeError as error:
        raise StoreUnavailable(f"FoundationDB API version {api_version}: {error}") from error
    except Exception as error:
        raise StoreUnavailable(
            "the FoundationDB client library is missing: install the foundationdb-clients package "
            f"of version {metadata.version('foundationdb')} (or libfdb_c.so of it where the loader finds it)"
        ) from error


def _start_network() -> None:
    try:
        fdb.impl.init()
    except fdb.impl.FDBError as error:
        if error.code != _NETWORK_RUNS:
            raise StoreUnavailable(f"the network of FoundationDB: {error.description.decode()}") from error


def _declare() -> ctypes.CDLL:
    library = ctypes.CDLL("libfdb_c", handle=fdb.Future.capi._handle)  # noqa: SLF001 -- as loaded by the binding
    for name, (result, *arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
