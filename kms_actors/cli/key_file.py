"""The file with the private keys that sign tokens. `kms-cli` and development mode read it, never a node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli

from kms_actors.auth.keys import TokenKeys, parse_private
from kms_actors.auth.principal import Right
from kms_actors.auth.scope import require_scope
from kms_actors.cli.private_file import create_private
from kms_actors.errors import InvalidRequest
from kms_actors.secret import SecretBytes
from kms_actors.small_files import read_small

_TEXT = """\
# Signs tokens of Clever KMS. Who has this file has every vault: keep it away from the nodes, which need only
#   keys = [["{root_public}", "{service_public}"]]
root_private_key = "{root}"
service_private_key = "{service}"
"""


#: Read back for the check of what tokens name; no server reads it.
_NAMESPACE = """\
namespace = "{namespace}"  # of the cluster whose tokens these keys sign
"""


def write_key_file(path: Path, keys: TokenKeys, namespace: str | None = None) -> None:
    """Write the keys as TOML, readable by the owner only. FileExistsError if there is such a file.

    `namespace` is the cluster's, for `read_namespace`; InvalidRequest if none can be called so.
    """
    if namespace is not None:
        require_scope(Right.OPERATOR, namespace, None)
    root_public, service_public = keys.public
    text = _TEXT.format(
        root_public=root_public,
        service_public=service_public,
        root=keys.root.reveal().hex(),
        service=keys.service.reveal().hex(),
    )
    create_private(path, text + ("" if namespace is None else _NAMESPACE.format(namespace=namespace)))


def read_namespace(path: Path) -> str | None:
    """Return the namespace in a key file, if there is one; raises as `read_key_file`."""
    found = _tree(path).get("namespace")
    if found is not None and not isinstance(found, str):
        raise InvalidRequest(f"{path}: namespace is not a text")
    return found


def read_key_file(path: Path) -> TokenKeys:
    """Return the keys in a file. OSError if it cannot be read, InvalidRequest if it holds no keys."""
    tree = _tree(path)
    return TokenKeys(_key(path, tree, "root_private_key"), _key(path, tree, "service_private_key"))


def _tree(path: Path) -> dict[str, Any]:
    try:
        return tomli.loads(read_small(path).decode())
    except (UnicodeDecodeError, tomli.TOMLDecodeError):
        raise InvalidRequest(f"{path} is not TOML") from None


def _key(path: Path, tree: dict[str, Any], name: str) -> SecretBytes:
    try:
        return parse_private(str(tree[name]))
    except (KeyError, InvalidRequest):
        raise InvalidRequest(f"{path}: {name} is not there, or is not 64 hex digits") from None
