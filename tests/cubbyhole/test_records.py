"""Records of cubbyholes have one form, byte for byte: a change of it needs a new number of their format."""

from __future__ import annotations

import pytest

from kms_actors.cubbyhole.records import Held, Taken, WrapInfo
from kms_actors.errors import FormatError
from kms_actors.keyring import stored

GOLDEN = [
    (Held(entries=2, bytes=15), b'{"entries":2,"bytes":15,"format":1}'),
    (
        WrapInfo(path="secret/data/x", created=1_700_000_000_123_456_789, ttl=60),
        b'{"path":"secret/data/x","created":1700000000123456789,"ttl":60,"status":200,"format":1}',
    ),
    (
        Taken(accessor="a1", taken=1_700_000_000.5, request_id="r1"),
        b'{"accessor":"a1","taken":1700000000.5,"request_id":"r1","format":1}',
    ),
]


@pytest.mark.parametrize(("record", "raw"), GOLDEN, ids=lambda value: type(value).__name__)
def test_records_have_one_form(record: Held | WrapInfo | Taken, raw: bytes) -> None:
    assert stored.encode(record) == raw
    assert stored.decode(raw, type(record), "record") == record
    with pytest.raises(FormatError):
        stored.decode(raw.replace(b'"format":1', b'"format":2'), type(record), "record")
