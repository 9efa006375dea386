"""From a file to a Configuration, every wrong key named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, get_origin

import msgspec
import tomli

from kms_actors.allowed import allowed
from kms_actors.config.contradictions import contradictions
from kms_actors.config.section import ConfigurationError, Section, section_of
from kms_actors.config.whole import Configuration
from kms_actors.small_files import read_small
from kms_actors.system_errors import in_words

#: What says of a single listener where it is, and how it speaks.
_SINGLE: Final = ("host", "port", "tls")


def load(path: Path) -> Configuration:
    """Read and check the file.

    Raises:
        ConfigurationError: unreadable, not TOML, or with wrong keys, each named.

    """
    return check(read(path), path)


def read(path: Path) -> dict[str, Any]:
    """Read the file, its keys unchecked; see `load`."""
    try:
        return tomli.loads(read_small(path).decode().removeprefix("\ufeff"))  # as some editors begin
    except OSError as error:
        raise ConfigurationError(path, [f"cannot be read: {in_words(error)}"]) from None
    except UnicodeDecodeError:
        raise ConfigurationError(path, ["not TOML: not UTF-8 text"]) from None
    except tomli.TOMLDecodeError as error:
        raise ConfigurationError(path, [f"not TOML: {error}"]) from None


def check(tree: dict[str, Any], path: Path) -> Configuration:
    """Turn a parsed file into a Configuration; see `load`."""
    if problems := [*_problems(Configuration, tree, ""), *_two_forms(tree)]:
        raise ConfigurationError(path, problems)
    configuration = msgspec.convert(tree, Configuration)
    if problems := list(contradictions(configuration)):
        raise ConfigurationError(path, problems)
    return configuration


def _problems(section: type[Section], tree: dict[str, Any], prefix: str) -> Iterator[str]:
    fields = {field.name: field for field in msgspec.structs.fields(section)}
    for key in tree.keys() - fields.keys():
        yield f"unknown key `{prefix}{key}`{_meant(key, fields, prefix)}"
    for name, field in fields.items():
        if name not in tree:
            if field.required:
                yield f"missing key `{prefix}{name}`"
            continue
        nested = section_of(field.type)
        listed = get_origin(field.type) is tuple
        if nested is not None and isinstance(tree[name], dict) and not listed:
            yield from _problems(nested, tree[name], f"{prefix}{name}.")
            continue
        if nested is not None and listed and _are_tables(tree[name]):
            for number, table in enumerate(tree[name]):
                yield from _problems(nested, table, f"{prefix}{name}[{number}].")
            continue
        try:
            msgspec.convert(tree[name], field.type)
        except msgspec.ValidationError:
            yield f"key `{prefix}{name}`: must be {allowed(field.type)}"


def _meant(key: str, known: Iterable[str], prefix: str) -> str:
    """Return which key may have been meant, in words: one that is alike, or the same in another table."""
    elsewhere = [name for name in _names(Configuration, "") if name.rpartition(".")[2] == key]
    if elsewhere:
        where = f"`{prefix.rstrip('.')}`" if prefix else "the top"
        return f": it is no key of {where}; did you mean {' or '.join(f'`{name}`' for name in elsewhere)}?"
    alike = get_close_matches(key, list(known), n=1)
    return f": did you mean `{alike[0]}`?" if alike else ""


def _names(section: type[Section], prefix: str) -> Iterator[str]:
    for field in msgspec.structs.fields(section):
        yield f"{prefix}{field.name}"
        if (nested := section_of(field.type)) is not None and get_origin(field.type) is not tuple:
            yield from _names(nested, f"{prefix}{field.name}.")


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _two_forms(tree: dict[str, Any]) -> Iterator[str]:
    """Tell of listeners that are given in the form of a single one, too: which of them are meant is no guess's."""
    for key in _SINGLE:
        if tree.get("listeners") and key in tree:
            yield f"key `{key}`: not together with `[[listeners]]`, which takes its place"
