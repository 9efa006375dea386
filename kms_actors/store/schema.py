"""The header record: which format the store's data has, and the oldest program that may read it."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from kms_actors.errors import FormatError
from kms_actors.store.api import Store, Transaction
from kms_actors.store.keyspace import HEADER

#: Of this program.
FORMAT: Final = 1

Version = Annotated[int, msgspec.Meta(ge=1)]


class Header(msgspec.Struct, frozen=True):
    """A newer format that older programs still read leaves `min_reader` at theirs. JSON, keys in this order."""

    format: Version
    min_reader: Version


async def initialise(store: Store) -> bool:
    """Write the header where there is none, else check it; return whether the store is new.

    Raises:
        FormatError: the data is of a newer format, or the header is damaged.

    """
    return await store.run(_initialise)


async def exists(store: Store) -> bool:
    """Check the header if there is one; return whether there is. Writes nothing.

    Raises:
        FormatError: see `initialise`.

    """
    stored = await store.run(lambda transaction: transaction.get(HEADER))
    if stored is not None:
        _check(stored)
    return stored is not None


async def _initialise(transaction: Transaction) -> bool:
    stored = await transaction.get(HEADER)
    if stored is None:
        transaction.set(HEADER, msgspec.json.encode(Header(format=FORMAT, min_reader=FORMAT)))
        return True
    _check(stored)
    return False


def _check(stored: bytes) -> None:
    try:
        header = msgspec.json.decode(stored, type=Header)
    except msgspec.DecodeError:
        raise FormatError("the store's header is damaged") from None
    if header.min_reader > FORMAT:
        raise FormatError(
            f"the store has format {header.format}, which needs a program that knows format "
            f"{header.min_reader}; this one knows up to {FORMAT}: upgrade it"
        )
