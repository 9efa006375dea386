"""Users and groups of the machine that settings name, and the one that a node becomes which root has started."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable
from typing import Final, TypeVar

from kms_actors.config import Configuration, SettingError
from kms_actors.processes.hardening import give_up_capabilities
from kms_actors.system_errors import in_words

T = TypeVar("T")

#: Of users and of groups; the one behind it stands for none where owners are given.
_MOST: Final = 2**32 - 2


def user_number(key: str, name: str) -> int:
    """Return the number of a user, who may be named by it. Raises SettingError for `key`."""
    return _number(key, name, "user") if name.isdecimal() else _found(key, name, "user", pwd.getpwnam).pw_uid


def group_number(key: str, name: str) -> int:
    """Return the number of a group, likewise."""
    return _number(key, name, "group") if name.isdecimal() else _found(key, name, "group", grp.getgrnam).gr_gid


def account(configuration: Configuration) -> tuple[int, int] | None:
    """Return the numbers of the user and the group that a node is to be; None where it stays who it is.

    Raises:
        SettingError: there is none, or only root could become him.

    """
    name = configuration.user
    if name is None:
        return None
    user = user_number("user", name)
    if configuration.group is not None:
        group = group_number("group", configuration.group)
    else:
        group = _found("group", str(user), "user", lambda number: pwd.getpwuid(int(number))).pw_gid
    if os.geteuid() not in {0, user}:
        raise SettingError("user", f"cannot become `{name}`: that is root's to do")
    return user, group


def stays_root(configuration: Configuration) -> bool:
    """Tell whether a node that this user starts is root to its end, and nobody has said that it is to be."""
    return configuration.user is None and os.geteuid() == 0


def drop_privileges(configuration: Configuration) -> None:
    """Become the user of the configuration, for good: with its groups, and without a capability.

    The process must not have any secret yet: it can be traced until it asks not to be, since who it is has changed.
    Raises SettingError.
    """
    wanted = account(configuration)
    if wanted is None or os.geteuid() != 0:
        return
    user, group = wanted
    try:
        os.setgroups(_groups(user, group))
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
        if user != 0:
            give_up_capabilities()
    except OSError as error:
        raise SettingError("user", f"cannot become `{configuration.user}`: {in_words(error)}") from None
    for file in (os.__file__, __file__):
        if not os.access(file, os.R_OK):  # modules are loaded when they are needed, and by new workers
            raise SettingError("user", f"`{configuration.user}` cannot read the program: {file}")


def _groups(user: int, group: int) -> list[int]:
    try:
        return os.getgrouplist(pwd.getpwuid(user).pw_name, group)
    except KeyError:
        return [group]


def _found(key: str, name: str, kind: str, look: Callable[[str], T]) -> T:
    try:
        return look(name)
    except KeyError:
        raise SettingError(key, f"there is no {kind} `{name}`") from None


def _number(key: str, text: str, kind: str) -> int:
    number = int(text)
    if number > _MOST:
        raise SettingError(key, f"there is no {kind} `{text}`")
    return number
