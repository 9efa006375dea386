"""A sample of each algorithm's vectors on a live node, good and bad ones, with keys that were imported."""

from __future__ import annotations

import pytest

from tests.vectors.catalogue import SOURCES
from tests.vectors.conftest import LiveNode
from tests.vectors.vector import Source, Way


@pytest.mark.parametrize(
    "source", [source for source in SOURCES if source.way is Way.NODE], ids=lambda source: source.name
)
def test_sample(source: Source, live: LiveNode) -> None:
    for vector in source.sample():
        assert vector.request.http(vector.key, live) is vector.good, vector.label
