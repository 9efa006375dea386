"""The files of the console: all of them in memory, found by the path that is asked for and by nothing else.

No path of a request ever becomes one of a file system.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

#: What is answered for `/ui/`, and for where an OpenID provider sends a browser back to.
INDEX: Final = "index.html"
_MEDIA: Final[Mapping[str, bytes]] = {
    "html": b"text/html; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "svg": b"image/svg+xml",
    "json": b"application/json",
    "txt": b"text/plain; charset=utf-8",
}


class File(NamedTuple):
    """One file; `tag` is the entity tag, which its digest makes."""

    body: bytes
    media: bytes
    tag: str


@functools.cache
def table() -> Mapping[str, File]:
    """Return the files by their paths below `/ui/`; read once a process."""
    return dict(_below(files("kms_http.console") / "static", ""))


def _below(folder: Traversable, prefix: str) -> Iterator[tuple[str, File]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _below(each, f"{prefix}{each.name}/")
        elif (media := _MEDIA.get(each.name.rpartition(".")[2])) is not None:
            body = each.read_bytes()
            yield prefix + each.name, File(body, media, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
