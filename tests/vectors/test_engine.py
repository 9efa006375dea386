"""Published vectors, each through the engine; those that must fail as strictly as the others."""

from __future__ import annotations

from collections import Counter

import pytest

from kms_actors.transit import digests, signature
from kms_actors.transit.key_types import KEY_TYPES
from kms_actors.transit.schemes.mldsa import PARAMETER_SETS, BareMlDsa
from tests.vectors.catalogue import SOURCES
from tests.vectors.proofs import Hashes, Hmac, Verifies
from tests.vectors.vector import Source, Vector, Way

each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)


@each_source
def test_vectors(source: Source) -> None:
    seen: Counter[bool] = Counter()
    for vector in source.vectors():
        assert vector.request.engine(vector.key) is vector.good, vector.label
        seen[vector.good] += 1
    assert sum(seen.values()) > 0


def every_vector() -> list[tuple[Source, Vector]]:
    return [(source, vector) for source in SOURCES for vector in source.vectors()]


#: A bare ML-DSA computes as the type that it is like: only its keys are shown in another way.
OWN = [
    one.name for one in KEY_TYPES.values() if not any(isinstance(each, BareMlDsa) for each in one.schemes.values())
]


def test_every_key_type_and_hash_has_good_and_bad_vectors() -> None:
    types, hmacs, hashes, signed = (Counter[tuple[str, bool]]() for _ in range(4))
    for _, vector in every_vector():
        types[vector.key.type, vector.good] += 1
        if isinstance(vector.request, Hmac):
            hmacs[vector.request.algorithm, vector.good] += 1
        if isinstance(vector.request, Hashes):
            hashes[vector.request.algorithm, vector.good] += 1
        if isinstance(vector.request, Verifies):
            signed[vector.request.hash, vector.good] += 1
    both = (True, False)
    assert all(types[name, good] >= 10 for name in OWN for good in both), types
    assert all(hmacs[name, good] >= 10 for name in digests.HMAC_HASHES for good in both), hmacs
    assert all(hashes[name, True] >= 100 for name in digests.HASHES), hashes
    assert all(signed[name, good] >= 7 for name in signature.HASHES if name != "none" for good in both), signed


def test_every_key_type_and_hash_has_good_and_bad_vectors_over_http_or_through_the_edge() -> None:
    types: Counter[tuple[str, bool]] = Counter()
    for source in SOURCES:
        for vector in source.sample():
            types[vector.key.type, vector.good] += 1
    assert all(types[name, good] >= 3 for name in OWN for good in (True, False)), types
    stay = {source.algorithm for source in SOURCES if source.way is Way.ENGINE}
    assert stay == {"wrapped imports, OAEP", *(f"ml-dsa-{name}, keys" for name in PARAMETER_SETS)}
