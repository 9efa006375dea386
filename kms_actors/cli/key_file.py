"""The file with the private keys that sign tokens. `kms-cli` and development mode read it, never a node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli

from kms_actors.auth.keys import TokenKeys, parse_private
from kms_actors.cli.private_file import create_private
from kms_actors.errors import InvalidRequest
from kms_actors.secret import SecretBytes

_TEXT = """\
# Signs tokens of Clever KMS. Who has this file has every vault: keep it away from the nodes, which need only
#   keys = [["{root_public}", "{service_public}"]]
root_private_key = "{root}"
service_private_key = "{service}"
"""


def write_key_file(path: Path, keys: TokenKeys) -> None:
    """Write the keys as TOML, readable by the owner only. FileExistsError if there is such a file."""
    root_public, service_public = keys.public
    text = _TEXT.format(
        root_public=root_public,
        service_public=service_public,
        root=keys.root.reveal().hex(),
        service=keys.service.reveal().hex(),
    )
    create_private(path, text)


def read_key_file(path: Path) -> TokenKeys:
    """Return the keys in a file. OSError if it cannot be read, InvalidRequest if it holds no keys."""
    try:
        tree = tomli.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomli.TOMLDecodeError):
        raise InvalidRequest(f"{path} is not TOML") from None
    return TokenKeys(_key(path, tree, "root_private_key"), _key(path, tree, "service_private_key"))


def _key(path: Path, tree: dict[str, Any], name: str) -> SecretBytes:
    try:
        return parse_private(str(tree[name]))
    except (KeyError, InvalidRequest):
        raise InvalidRequest(f"{path}: {name} is not there, or is not 64 hex digits") from None
