"""Having files synced: by Linux's asynchronous I/O, which wants no thread, and by threads where there is none.

A thread that waits for the disk wants the interpreter back once it is done, from a loop that is busy: half a dozen
switches between threads for each sync cost more than the system takes for it. The kernel has workers of its own.

Source: io_submit(2), IOCB_CMD_FDSYNC, of Linux 4.18 and later.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import platform
import struct
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from errno import EBADF
from typing import Final, Protocol

#: Told what became of a sync: None, or what failed.
Then = Callable[[OSError | None], None]

#: Syncs that the system is asked for at once: each file has one, and those beyond wait.
MOST: Final = 256
_IOCB: Final = struct.Struct("=QIIHhIQQqQII")
_EVENT: Final = struct.Struct("=QQqq")
_FDSYNC: Final = 3
_NUMBER: Final = 0xFFFFFFFF  # of a file, as the system has it
_TELL_BY_EVENTFD: Final = 1


class Opened(Protocol):
    """An open file. Its number is asked for when a sync begins: one that was closed by then has none of its own."""

    @property
    def number(self) -> int:
        """The system's; below 0 once it is closed."""


class Disk(Protocol):
    """What files are synced by. It is used by one event loop."""

    def sync(self, file: Opened, then: Then) -> None:
        """Have all that was written to an open file on the disk, as `fdatasync`; `then` is called on the loop."""

    def close(self) -> None:
        """Let go of what is open; nothing is synced afterwards."""


class _Calls:
    """The system's calls, by their numbers on this machine."""

    #: io_setup, io_destroy, io_getevents, io_submit.
    NUMBERS: Final = {"x86_64": (206, 207, 208, 209), "aarch64": (0, 1, 4, 2)}

    def __init__(self) -> None:
        """Raise OSError where they are not known."""
        numbers = self.NUMBERS.get(platform.machine())
        if sys.platform != "linux" or numbers is None or struct.calcsize("P") != 8:
            raise OSError("no asynchronous I/O is known here")
        self.setup, self.destroy, self.get_events, self.submit = map(ctypes.c_long, numbers)
        # None of them waits, so the interpreter is kept.
        self._call = ctypes.PyDLL(None, use_errno=True).syscall
        self._call.restype = ctypes.c_long

    def __call__(self, number: ctypes.c_long, *arguments: object) -> int:
        """Return what a call returns; raises OSError."""
        result = int(self._call(number, *arguments))
        if result < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        return result


class Queue:
    """Syncs by the system's own workers. See `Disk`."""

    def __init__(self) -> None:
        """Raise OSError where the system has none for us."""
        self._call = call = _Calls()
        self._loop = asyncio.get_running_loop()
        self._context = ctypes.c_ulong(0)
        call(call.setup, ctypes.c_uint(MOST), ctypes.byref(self._context))
        self._ready = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._loop.add_reader(self._ready, self._done)
        self._asked: dict[int, Then] = {}
        self._waiting: deque[tuple[Opened, Then]] = deque()
        self._number = 0
        self._block = ctypes.create_string_buffer(_IOCB.size)
        self._blocks = (ctypes.c_void_p * 1)(ctypes.addressof(self._block))
        self._events = ctypes.create_string_buffer(_EVENT.size * MOST)

    def sync(self, file: Opened, then: Then) -> None:
        """See `Disk`."""
        if len(self._asked) < MOST:
            self._ask(file, then)
        else:
            self._waiting.append((file, then))

    def _ask(self, file: Opened, then: Then) -> None:
        self._number += 1
        call = self._call
        _IOCB.pack_into(
            self._block,
            0,
            self._number,
            0,
            0,
            _FDSYNC,
            0,
            file.number & _NUMBER,
            0,
            0,
            0,
            0,
            _TELL_BY_EVENTFD,
            self._ready,
        )
        try:
            call(call.submit, self._context, ctypes.c_long(1), self._blocks)
        except OSError as error:
            self._loop.call_soon(then, error)
            return
        self._asked[self._number] = then

    def close(self) -> None:
        """See `Disk`. What is under way then is left to the end of the process: to end it here would wait for it."""
        self._loop.remove_reader(self._ready)
        os.close(self._ready)
        if not self._asked:
            self._call(self._call.destroy, self._context)

    def _done(self) -> None:
        call = self._call
        os.eventfd_read(self._ready)
        count = call(call.get_events, self._context, ctypes.c_long(0), ctypes.c_long(MOST), self._events, None)
        for number, _, result, _ in list(_EVENT.iter_unpack(self._events.raw[: count * _EVENT.size])):
            then = self._asked.pop(number)
            then(None if result >= 0 else OSError(-result, os.strerror(-result)))
        while self._waiting and len(self._asked) < MOST:
            self._ask(*self._waiting.popleft())


class ThreadedDisk:
    """Syncs by threads. See `Disk`."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool

    def sync(self, file: Opened, then: Then) -> None:
        """See `Disk`."""
        loop = asyncio.get_running_loop()

        def done(synced: asyncio.Future[None]) -> None:
            error = synced.exception()
            then(error if error is None or isinstance(error, OSError) else OSError(EBADF, type(error).__name__))

        loop.run_in_executor(self._pool, lambda: os.fdatasync(file.number)).add_done_callback(done)

    def close(self) -> None:
        """See `Disk`."""


class AnyDisk:
    """The one of both that there is, from the first sync on: processes are forked before that. See `Disk`."""

    def __init__(self, pool: Executor) -> None:
        """`pool` has the threads."""
        self._pool = pool
        self._disk: Disk | None = None

    def sync(self, file: Opened, then: Then) -> None:
        """See `Disk`."""
        if self._disk is None:
            try:
                self._disk = Queue()
            except OSError:
                self._disk = ThreadedDisk(self._pool)
        self._disk.sync(file, then)

    def close(self) -> None:
        """See `Disk`."""
        if self._disk is not None:
            self._disk.close()
