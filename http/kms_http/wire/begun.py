"""A coroutine that was begun where its request was read, and has to wait: it goes on in a task."""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def go_on(begun: Coroutine[Any, Any, T], awaited: Any) -> Generator[Any, None, T]:
    """Go on with a coroutine that was begun outside of the task, where it stopped to wait for `awaited`."""
    while True:
        try:
            yield awaited
        except BaseException as error:  # noqa: BLE001 - a cancellation before the first step is the coroutine's own
            try:
                awaited = begun.throw(error)
            except StopIteration as done:
                made: T = done.value
                return made
        else:
            return (yield from begun.__await__())
