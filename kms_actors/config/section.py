"""What the tables of the file are made of: the kinds of their values, and what is told of wrong ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from kms_actors.errors import KmsError

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
#: What bounds how long a sealed or deleted key can live in memory is no place for a day.
Lease = Annotated[float, Meta(gt=0, le=60)]
Count = Annotated[int, Meta(ge=1)]
_SIZE = r"([1-9][0-9]{0,8}) ?(B|kB|MB|GB|KiB|MiB|GiB)"
Size = Annotated[str, Meta(pattern=f"^{_SIZE}$", extra={"allowed": "a size such as `64 MiB`"})]
#: Likewise, or empty.
Bound = Annotated[str, Meta(pattern=f"^({_SIZE})?$", extra={"allowed": "a size such as `64 MiB`, or empty"})]
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class ConfigurationError(Exception):
    """The file cannot be used; `problems` has one line for each wrong key."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))
        self.problems = problems


class SettingError(KmsError):
    """What a key names cannot be used on this machine: no such file, a port that is taken; told in words."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"key `{key}`: {reason}")


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all tables of the file."""


def bytes_of(size: str) -> int:
    """Return the bytes of a size as a file has it."""
    match = re.fullmatch(_SIZE, size)
    assert match is not None  # checked when the file was read
    return int(match[1]) * _BYTES[match[2]]


def section_of(kind: Any) -> type[Section] | None:
    """Return the Section a field's type stands for, if it is a table."""
    candidates = (kind, *getattr(kind, "__args__", ()))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, Section)), None)
