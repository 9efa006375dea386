"""Loading modules, which takes most of a start."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
from typing import Final

#: Where OpenSSL looks for the certificates that a client trusts.
_AUTHORITIES: Final = "SSL_CERT_FILE"
#: Collections of the middle generation from one full collection to the next, at least; 10 by default.
_FULL: Final = 100


@contextlib.contextmanager
def modules_kept() -> Iterator[None]:
    """Load modules within. They are here to stay, so no collection of garbage looks through them, now or later."""
    gc.disable()
    try:
        with _without_authorities():
            yield
    finally:
        keep_modules()
        gc.enable()


def keep_modules() -> None:
    """Have collections pass over all there is, and have full ones be rare.

    A full collection stops the process for as long as it takes to look at all that awake tenants hold: 0.13 s with
    6,000 of them. It finds next to nothing, for nothing here waits for one to leave memory.
    """
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], _FULL)


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
        if named is None:
            del os.environ[_AUTHORITIES]
        else:
            os.environ[_AUTHORITIES] = named
