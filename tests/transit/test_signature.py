"""The parameters of sign and verify: what they mean, and what is refused in which words."""

from __future__ import annotations

from typing import Any

import pytest

from kms_actors.errors import InvalidRequest
from kms_actors.transit.signature import SALT_AUTO, SALT_HASH, parameters

NONE = "hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"hash_algorithm": "x"}, 'invalid hash algorithm "x"'),
        ({"hash_algorithm": "SHA2-256"}, 'invalid hash algorithm "SHA2-256"'),
        ({"marshaling_algorithm": "x"}, 'invalid marshaling type "x"'),
        ({"marshaling_algorithm": ""}, 'invalid marshaling type ""'),
        ({"salt_length": "x"}, "salt length neither 'auto', 'hash', nor an int: x"),
        ({"salt_length": ""}, "salt length neither 'auto', 'hash', nor an int: "),
        ({"salt_length": "1.5"}, "salt length neither 'auto', 'hash', nor an int: 1.5"),
        ({"salt_length": "-5"}, "salt length is invalid: -5"),
        ({"hash_algorithm": "none"}, NONE),
        ({"hash_algorithm": "none", "prehashed": True}, NONE),
        ({"hash_algorithm": "none", "prehashed": True, "signature_algorithm": "pss"}, NONE),
        ({"hash_algorithm": "none", "signature_algorithm": "pkcs1v15"}, NONE),
    ],
)
def test_refusals(given: dict[str, Any], error: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parameters(**given).check_hash()
    assert str(raised.value) == error


@pytest.mark.parametrize(
    ("text", "length"), [("auto", SALT_AUTO), ("0", SALT_AUTO), ("hash", SALT_HASH), ("-1", SALT_HASH), ("+20", 20)]
)
def test_salt_lengths(text: str, length: int) -> None:
    assert parameters(salt_length=text).salt_length == length


def test_the_defaults() -> None:
    how = parameters()
    assert how.hash is not None
    assert (how.hash.name, how.prehashed, how.algorithm, how.jws) == ("sha256", False, "pss", False)
    assert parameters(signature_algorithm="") == how
