"""Published test vectors in one form, whoever published them: a key, a request, and what must be said of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from functools import cache, lru_cache
from itertools import islice, zip_longest
from typing import Any, NamedTuple, Protocol

from cryptography.hazmat.primitives.serialization import load_der_private_key

from kms_actors.transit.key import TransitKey
from kms_actors.transit.key_types import KEY_TYPES, Parameters
from kms_actors.transit.records import KeyPolicy, VersionRecord
from kms_actors.transit.schemes.scheme import (
    pkcs8,
    subject_public_key_info,
)
from tests.support.api import Api

#: Good vectors of each source in its sample at most, and as many bad ones.
SAMPLE = 6


class Key(NamedTuple):
    """A key as its owner has it: the bytes of a symmetric one, PKCS#8 (DER), a seed; or just the public half."""

    type: str
    secret: bytes = b""
    public: bytes = b""  # SubjectPublicKeyInfo (DER), two of them as hybrid keys are stored
    parameters: Parameters = Parameters()

    def __repr__(self) -> str:
        return f"<Key {self.type}>"


class Node(Protocol):
    """A live node on which keys can be imported."""

    user: Api

    def imported(self, key: Key, **options: Any) -> str:
        """Return the name of a key that was imported, once each."""

    def transport(self, ephemeral: bytes, wrapped: bytes) -> str:
        """Return what `import` takes for a key that is wrapped under an AES key."""


class Request(Protocol):
    """What is asked of a key."""

    def engine(self, key: Key) -> bool:
        """Tell whether the engine takes it for good, with the outcome that the vector has."""

    def http(self, key: Key, node: Node) -> bool:
        """Tell the same of a live node."""


class Vector(NamedTuple):
    """One vector. `kind` tells it from others of its file when a sample is drawn."""

    label: str
    kind: str
    good: bool
    key: Key
    request: Request
    engine_only: bool = False  # no request of the API can ask for it
    open: bool = False  # its publisher lets implementations choose


class Way(Enum):
    """How far a sample of a source's vectors goes."""

    NODE = "node"  # over HTTP to a live node, where their keys were imported
    EDGE = "edge"  # from request to answer with no socket between: keys that cannot be imported
    ENGINE = "engine"  # no request asks for this alone


class Source(NamedTuple):
    """The vectors of one file for one algorithm; in place of one that does not apply, the reason."""

    algorithm: str
    publisher: str
    file: str
    read: Callable[[], Iterable[Vector | str]]
    way: Way = Way.NODE

    @property
    def name(self) -> str:
        return f"{self.algorithm}-{self.file}"

    def vectors(self) -> Iterator[Vector]:
        """Yield those that apply."""
        return (found for found in _found(self) if isinstance(found, Vector))

    def left_out(self) -> Iterator[str]:
        """Yield for each of the others why it does not apply."""
        return (found for found in _found(self) if isinstance(found, str))

    def sample(self) -> Sequence[Vector]:
        """Return those that go further than the engine: one of each kind, a second one, until there are enough."""
        if self.way is Way.ENGINE:
            return []
        by_kind: dict[bool, dict[str, list[Vector]]] = {True: defaultdict(list), False: defaultdict(list)}
        for vector in filter(_askable, self.vectors()):
            by_kind[vector.good][vector.kind].append(vector)
        return [
            vector
            for kinds in by_kind.values()
            for vector in islice((one for row in zip_longest(*kinds.values()) for one in row if one), SAMPLE)
        ]


@cache
def _found(source: Source) -> Sequence[Vector | str]:
    return tuple(source.read())


def _askable(vector: Vector) -> bool:
    """Tell whether a request can ask for it, by a key that can be imported."""
    key_type = KEY_TYPES.get(vector.key.type)
    if vector.engine_only or key_type is None or key_type.schemes:
        return not vector.engine_only
    size = len(vector.key.secret)
    return size < key_type.key_size.stop if key_type.key_size else size == key_type.key_bytes


@lru_cache(512)
def loaded(key: Key) -> TransitKey:
    """Return a key of the engine; keys are used many times in a row."""
    policy = KeyPolicy("k", key.type, **key.parameters._asdict())
    if not KEY_TYPES[key.type].schemes:
        return TransitKey(policy, {1: VersionRecord(key.secret, key.secret, 0)})
    if not key.secret:
        return TransitKey(policy, {1: VersionRecord(b"", bytes(32), 0, key.public)})
    if key.type == "ml-dsa":
        private = KEY_TYPES[key.type].schemes[key.parameters].private(key.secret)
        stored = key.secret
    else:
        # RSA: to prove that its numbers are primes again, for hundreds of keys, would take minutes.
        private = load_der_private_key(key.secret, None, unsafe_skip_rsa_key_validation=True)
        stored = _ed25519(private) if key.type == "ed25519" else pkcs8(private)
    return TransitKey(policy, {1: VersionRecord(stored, bytes(32), 0, subject_public_key_info(private.public_key()))})


def _ed25519(private: Any) -> bytes:
    raw: bytes = private.private_bytes_raw() + private.public_key().public_bytes_raw()
    return raw
