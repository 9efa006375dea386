"""From a file to a Configuration, every wrong key named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import tomli

from kms_actors.allowed import allowed
from kms_actors.config.contradictions import contradictions
from kms_actors.config.section import ConfigurationError, Section, section_of
from kms_actors.config.whole import Configuration
from kms_actors.system_errors import in_words


def load(path: Path) -> Configuration:
    """Read and check the file.

    Raises:
        ConfigurationError: unreadable, not TOML, or with wrong keys, each named.

    """
    return check(read(path), path)


def read(path: Path) -> dict[str, Any]:
    """Read the file, its keys unchecked; see `load`."""
    try:
        return tomli.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(path, [f"cannot be read: {in_words(error)}"]) from None
    except UnicodeDecodeError:
        raise ConfigurationError(path, ["not TOML: not UTF-8 text"]) from None
    except tomli.TOMLDecodeError as error:
        raise ConfigurationError(path, [f"not TOML: {error}"]) from None


def check(tree: dict[str, Any], path: Path) -> Configuration:
    """Turn a parsed file into a Configuration; see `load`."""
    if problems := list(_problems(Configuration, tree, "")):
        raise ConfigurationError(path, problems)
    configuration = msgspec.convert(tree, Configuration)
    if problems := list(contradictions(configuration)):
        raise ConfigurationError(path, problems)
    return configuration


def _problems(section: type[Section], tree: dict[str, Any], prefix: str) -> Iterator[str]:
    fields = {field.name: field for field in msgspec.structs.fields(section)}
    for key in tree.keys() - fields.keys():
        yield f"unknown key `{prefix}{key}`"
    for name, field in fields.items():
        if name not in tree:
            if field.required:
                yield f"missing key `{prefix}{name}`"
            continue
        nested = section_of(field.type)
        if nested is not None and isinstance(tree[name], dict):
            yield from _problems(nested, tree[name], f"{prefix}{name}.")
            continue
        try:
            msgspec.convert(tree[name], field.type)
        except msgspec.ValidationError:
            yield f"key `{prefix}{name}`: must be {allowed(field.type)}"
