from __future__ import annotations

import traceback

import pytest

from kms_actors.auth.keys import TokenKeys, parse_private, parse_public, public_hex
from kms_actors.errors import InvalidRequest
from tests.auth.mint import pair

# RFC 8032, section 7.1, test 1
SECRET = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


@pytest.mark.parametrize("prefix", ["", "ed25519-private/", "ed25519/"])
def test_private_keys_are_read_in_each_form(prefix: str) -> None:
    assert public_hex(parse_private(f"{prefix}{SECRET}\n")) == PUBLIC
    assert str(pair(bytes.fromhex(SECRET)).public_key) == f"ed25519/{PUBLIC}"


def test_public_keys_are_read_in_each_form() -> None:
    assert parse_public(f"ed25519/{PUBLIC.upper()}") == parse_public(PUBLIC) == PUBLIC


@pytest.mark.parametrize("text", ["", SECRET[:-1], SECRET + "0", "x" * 64, f"secp256r1/{SECRET}", "٣" * 64])
def test_a_wrong_key_is_refused_without_its_text(text: str) -> None:
    for parse in (parse_private, parse_public):
        with pytest.raises(InvalidRequest, match="64 hex digits") as caught:
            parse(text)
        shown = "".join(traceback.format_exception(caught.value))
        assert not text or text not in shown


def test_generated_keys_differ_and_are_not_shown() -> None:
    keys = TokenKeys.generate()
    assert len({*keys.public, *TokenKeys.generate().public}) == 4
    assert keys.root.reveal().hex() not in repr(keys)
