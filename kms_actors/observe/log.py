"""Structured logs: one line an event, on standard error. Values in events are names and numbers, never secrets."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import Any, Final

import structlog

from kms_actors.config import Log
from kms_actors.observe.levels import NUMBERS, levels
from kms_actors.observe.recent import recent

_CRITICAL: Final = {"exception": logging.ERROR, "critical": logging.CRITICAL}


def configure(settings: Log) -> None:
    """Set up structlog, and send the standard library's warnings (of aiohttp, asyncio) the same way."""
    levels.default = NUMBERS[settings.level]
    levels.set(None)
    if settings.format == "json":
        renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    else:
        colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        renderer = structlog.dev.ConsoleRenderer(colors=colours, pad_event_to=0)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _sift,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=_Named,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_ToStructlog()], level=logging.WARNING, force=True)


class _Named(structlog.PrintLogger):
    """A logger that knows its name, which levels are set by."""

    def __init__(self, name: str = "") -> None:
        super().__init__(sys.stderr)
        self.name = name
        levels.know(name)

    def msg(self, message: str) -> None:
        """Write a line. What cannot be written, as to a full disk, is lost: no request fails for it."""
        with contextlib.suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = err = error = critical = fatal = failure = exception = msg


def _sift(logger: Any, method: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Keep a line for those who follow the log, and drop it where its level is not written."""
    level = NUMBERS.get(method) or _CRITICAL.get(method, logging.ERROR)
    written = level >= levels.least(getattr(logger, "name", ""))
    if written or recent.wants(level):
        recent.keep(level, fields)
    if not written:
        raise structlog.DropEvent
    return fields


class _ToStructlog(logging.Handler):
    """Libraries may put values into messages and exceptions, so only where and how severe is passed on."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        structlog.get_logger(record.name).log(
            record.levelno, "library message", module=record.module, line=record.lineno, error=error
        )
