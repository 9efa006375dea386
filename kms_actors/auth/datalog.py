"""The biscuit library behind three guards: panics contained, run limits set, facts made once.

A panic of the library arrives as a BaseException, which would stop every actor if it reached one.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from biscuit_auth import AuthorizerBuilder, Fact

from kms_actors.auth.wire import TokenRefused

T = TypeVar("T")

#: Characters of the longest value whose fact is kept: callers choose paths. All kept facts take about 6 MB at most.
_LONGEST_KEPT: Final = 256

#: By the clock on the wall, so it must be longer than any pause of a busy machine or a throttled container: else good
#: tokens are refused. What bounds the work is `cost`; facts and iterations stay at the library's own limits.
RUN_TIME: Final = datetime.timedelta(milliseconds=500)


def contained(reason: str, call: Callable[[], T]) -> T:
    """Return `call()`; raise TokenRefused(reason) whatever the library raises, panics included."""
    try:
        return call()
    except TokenRefused:
        raise
    except Exception:  # noqa: BLE001  the library's errors share no base class
        raise TokenRefused(reason) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise TokenRefused("the biscuit library panicked") from None


def authorizer(code: str = "", parameters: Mapping[str, Any] | None = None) -> AuthorizerBuilder:
    """Return a builder with bounded run limits."""
    builder = AuthorizerBuilder(code, parameters)
    builder.set_limits(_LIMITS)  # type: ignore[attr-defined]  # missing in the library's stubs
    return builder


def fact(name: str, value: str) -> Fact:
    """Return the fact name(value). Parsing one costs 4 µs, and requests repeat them; long ones are not kept."""
    return _kept_fact(name, value) if len(value) <= _LONGEST_KEPT else _new_fact(name, value)


def _new_fact(name: str, value: str) -> Fact:
    return Fact(f"{name}({{value}})", {"value": value})


_kept_fact = functools.lru_cache(maxsize=4096)(_new_fact)


@functools.lru_cache(maxsize=8)
def time_fact(second: int) -> Fact:
    """Return the fact time(second), in seconds since 1970."""
    return Fact("time({value})", {"value": datetime.datetime.fromtimestamp(second, datetime.UTC)})


def _limits() -> Any:
    limits = AuthorizerBuilder().limits()  # type: ignore[attr-defined]  # missing in the library's stubs
    limits.max_time = RUN_TIME
    return limits


_LIMITS = _limits()
