"""Loading modules, which takes most of a start."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
from typing import Final

#: Where OpenSSL looks for the certificates that a client trusts.
_AUTHORITIES: Final = "SSL_CERT_FILE"


@contextlib.contextmanager
def modules_kept() -> Iterator[None]:
    """Load modules within. They are here to stay, so no collection of garbage looks through them, now or later."""
    gc.disable()
    try:
        with _without_authorities():
            yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def _without_authorities() -> Iterator[None]:
    """Keep aiohttp from reading all certificates that the system trusts: it does so when loaded, for its client.

    A node has no such client, and would spend a tenth of its start and 2 MB on them.
    """
    named = os.environ.get(_AUTHORITIES)
    os.environ[_AUTHORITIES] = os.devnull
    try:
        yield
    finally:
        del os.environ[_AUTHORITIES]
        if named is not None:
            os.environ[_AUTHORITIES] = named
