"""How policies are stored: the bytes of today, which later programs read."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from kms_actors.errors import FormatError
from kms_actors.keyring import stored
from kms_actors.policy.records import PolicyRecord

RECORD = PolicyRecord('path "a" {}', 3, 5, 7, cas_required=True, allow_slashes=True, allow_wildcards=False)
GOLDEN = (
    b'{"text":"path \\"a\\" {}","version":3,"modified":5,"expires_at":7,"cas_required":true,'
    b'"allow_slashes":true,"allow_wildcards":false,"format":1}'
)


def test_a_policy_is_stored_as_ever() -> None:
    assert stored.encode(RECORD) == GOLDEN
    assert stored.decode(GOLDEN, PolicyRecord, "policy") == RECORD
    assert stored.decode(b'{"text":"","format":1}', PolicyRecord, "policy") == PolicyRecord("")


@pytest.mark.parametrize("raw", [b"{}", b'{"text":1,"format":1}', GOLDEN.replace(b'"format":1', b'"format":2')])
def test_another_is_refused_without_its_text(raw: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        stored.decode(raw, PolicyRecord, "policy")
    assert "path" not in str(caught.value)
    assert "path" not in repr(RECORD)


def test_what_values_of_templates_may_not_hold() -> None:
    assert RECORD.blocked == "*+"
    assert replace(RECORD, allow_slashes=False).blocked == "*+/"
    assert replace(RECORD, allow_slashes=False, allow_wildcards=True).blocked == "/"
    assert not RECORD.ended(6)
    assert RECORD.ended(7)
    assert not PolicyRecord("").ended(7)
