"""Vectors whose keys cannot be imported: from request to answer, with the key put into the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from kms_actors.errors import InvalidRequest
from tests.actors.transit_tenant import opened
from tests.http.transit_api import Api
from tests.support.api import b64
from tests.vectors.answers import text
from tests.vectors.catalogue import SOURCES
from tests.vectors.proofs import Verifies
from tests.vectors.vector import Source, Vector, Way, loaded


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path) as (_, [tenant]):
        yield Api(tenant)


@pytest.fixture
def sample(source: Source) -> Sequence[Vector]:
    """Read vectors where no event loop waits: they may have to be fetched first."""
    return source.sample()


@pytest.mark.parametrize(
    "source", [source for source in SOURCES if source.way is Way.EDGE], ids=lambda source: source.name
)
async def test_sample(sample: Sequence[Vector], api: Api) -> None:
    assert sample
    for vector in sample:
        request, key = vector.request, vector.key
        assert isinstance(request, Verifies)
        public = loaded(key).latest.record.public_key
        name = await api.store_public_key(key.type, public, **key.parameters._asdict())
        sent = {"input": b64(request.message), "signature": text(request.signature), "hash_algorithm": request.hash}
        try:
            answer = await api.post(f"verify/{name}", **sent)
        except InvalidRequest:
            assert not vector.good, vector.label
        else:
            assert answer == {"valid": vector.good}, vector.label
