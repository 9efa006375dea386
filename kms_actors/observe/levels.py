"""Which lines of a log are written: a least level for all loggers, others for some and what lies below them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Final

#: By the names that the configuration and Vault's API have.
NUMBERS: Final[Mapping[str, int]] = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "notice": logging.INFO,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "err": logging.ERROR,
    "error": logging.ERROR,
}
#: What levels are called in answers.
NAMES: Final[Mapping[int, str]] = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warn",
    logging.ERROR: "error",
}
_ROOTS: Final = ("kms_actors", "kms_http")


class Levels:
    """Of one process. Names are those of modules: what is set for one holds for all below it that have no other."""

    def __init__(self, default: int = logging.INFO) -> None:
        self.default = default
        self._all = default
        self._own: dict[str, int] = {}
        self._known: set[str] = set(_ROOTS)
        self._found: dict[str, int] = {}  # kept, since each line asks

    def know(self, name: str) -> None:
        """Take a logger among those that are listed."""
        self._known.add(name)

    def least(self, name: str) -> int:
        """Return the least level of lines that a logger writes."""
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self._look_up(name)
        return found

    def names(self) -> list[str]:
        """Return all loggers, also those that have not written anything yet."""
        modules = (name for name, module in list(sys.modules.items()) if hasattr(module, "_log"))
        return sorted(self._known.union(name for name in modules if name.partition(".")[0] in _ROOTS))

    def shown(self) -> dict[str, str]:
        """Return the level of each logger, by name."""
        return {name: NAMES[self.least(name)] for name in self.names()}

    def set(self, level: int | None, name: str = "") -> bool:
        """Set the level of a logger, or of all; None: what it was at the start. Tell whether there is one."""
        if name and name not in self.names():
            return False
        self._found.clear()
        if not name:
            self._own.clear()
            self._all = self.default if level is None else level
        elif level is None:
            self._own.pop(name, None)
        else:
            self._own[name] = level
        return True

    def _look_up(self, name: str) -> int:
        while name:
            if name in self._own:
                return self._own[name]
            name = name.rpartition(".")[0]
        return self._all


#: Of this process.
levels: Final = Levels()
