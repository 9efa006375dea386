"""One guard around libraries that read what callers sent: certificates, keys, backups, points, times.

Such a library raises what it likes: errors of its own that share no base, `ValueError` and `OverflowError`, and,
where it is written in Rust, panics, which are no `Exception` at all. None of it says anything of this program or its
store; all of it is the caller's mistake.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final

from kms_actors.errors import InvalidRequest, KmsError

#: What is no fault of an input: our own words about it, and the end of the task, the memory or the program.
_PASS: Final = (KmsError, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, MemoryError)


class untrusted:  # noqa: N801 - used as a statement
    """A context: whatever is raised within becomes InvalidRequest with `text`, without what led to it.

    `raises` is the error in its place.
    """

    __slots__ = ("_raises", "_text")

    def __init__(self, text: str, raises: type[KmsError] = InvalidRequest) -> None:
        self._text = text
        self._raises = raises

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, _PASS):
            raise self._raises(self._text) from None
