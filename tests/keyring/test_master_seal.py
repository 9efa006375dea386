"""The seal of a cluster: both of its kinds, and what an older program says of the newer one."""

from __future__ import annotations

import pytest

from kms_actors.errors import FormatError
from kms_actors.keyring.master_seal import ProviderSeal, decode_seal, shares_of, type_of
from kms_actors.keyring.seal import SealConfig

SHARES = SealConfig(5, 3, "0a" * 16, 1700000000.0)
KEPT = ProviderSeal("transit", "unseal:v3", b"vault:v3:AAAA", "0b" * 16, 1700000001.0, recovery=SHARES)
RECORD = (
    b'{"type":"transit","key_id":"unseal:v3","wrapped":"dmF1bHQ6djM6QUFBQQ==",'
    b'"key_check_value":"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b","created":1700000001.0,'
    b'"recovery":{"shares":5,"threshold":3,"key_check_value":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a",'
    b'"created":1700000000.0,"format":1},"format":2}'
)


def test_the_stored_form_is_as_it_was() -> None:
    assert KEPT.encode() == RECORD
    assert decode_seal(RECORD) == KEPT
    assert decode_seal(SHARES.encode()) == SHARES


def test_a_program_that_knows_shares_alone_says_which_format_it_is() -> None:
    with pytest.raises(FormatError, match="seal config is of format 2; this program reads format 1"):
        SealConfig.decode(RECORD)


def test_whose_shares_there_are() -> None:
    assert (type_of(SHARES), type_of(KEPT)) == ("shamir", "transit")
    assert shares_of(SHARES) == shares_of(KEPT) == SHARES


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (b'"format":2', b'"format":3', "is of format 3"),
        (b"transit", b"kmip", "is damaged"),
        (b'"created":1700000001.0,', b"", "is damaged"),
        (b'"shares":5', b'"shares":0', "is damaged"),
    ],
)
def test_what_is_damaged_or_newer_is_refused(old: bytes, new: bytes, text: str) -> None:
    with pytest.raises(FormatError, match=text):
        decode_seal(RECORD.replace(old, new))
