from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from kms_actors.auth import wire
from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.auth.wire import TokenRefused
from kms_actors.errors import AuthenticationFailed
from tests.auth.mint import NOW, Mint, block_fields, first_scheme, rewritten


def test_the_first_signature_scheme_is_refused_and_the_log_says_why(
    authenticator: BiscuitAuthenticator, mint: Mint
) -> None:
    payload = wire.parse(wire.decode(mint.token())).blocks[1].payload
    with capture_logs() as logs, pytest.raises(AuthenticationFailed, match=r"^permission denied$"):
        authenticator.authenticate(first_scheme(mint.keys, payload), NOW)
    assert "first signature scheme" in logs[0]["reason"]
    assert "GHSA-rgqv-mwc3-c78m" in logs[0]["reason"]


@pytest.mark.parametrize("version", [[], [(5, 2)], [(5, 2**32 + 1)]])
def test_only_signature_version_one_is_accepted_for_third_parties(mint: Mint, version: list[wire.Field]) -> None:
    fields = [field for field in block_fields(mint.token(), 1) if field[0] != 5]
    with pytest.raises(TokenRefused, match="third-party block has"):
        wire.parse(wire.decode(rewritten(mint.token(), 1, fields + version)))


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_repeated_fields_are_refused(mint: Mint, number: int) -> None:
    token = mint.token()
    fields = block_fields(token, 1)
    (again,) = [field for field in fields if field[0] == number]
    with pytest.raises(TokenRefused, match="repeats a field"):
        wire.parse(wire.decode(rewritten(token, 1, [*fields, again])))


def test_an_external_signature_on_the_authority_block_is_refused(mint: Mint) -> None:
    token = mint.token()
    (external,) = [field for field in block_fields(token, 1) if field[0] == 4]
    with pytest.raises(TokenRefused, match="authority block"):
        wire.parse(wire.decode(rewritten(token, 0, [*block_fields(token, 0), external, (5, 1)])))


def test_parsing_agrees_with_the_library(mint: Mint) -> None:
    token = mint.narrowed(mint.token(), 'check if path("a")')
    biscuit = mint.open(token)
    blocks = wire.parse(wire.decode(token)).blocks
    assert [str(block.signer) for block in blocks] == [
        str(biscuit.block_external_key(index)) for index in range(biscuit.block_count())
    ]
    assert [block.signature.hex() for block in blocks] == biscuit.revocation_ids
    assert wire.encode(wire.decode(token)) == token


@given(st.lists(st.tuples(st.integers(1, 2**29 - 1), st.integers(0, 2**64 - 1) | st.binary())))
def test_what_is_written_is_read(fields: list[wire.Field]) -> None:
    assert wire.read(wire.write(fields)) == fields


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(TokenRefused):
        assert wire.parse(data).blocks


@given(data=st.data())
def test_a_damaged_token_is_refused(data: st.DataObject) -> None:
    mint = _MINT
    raw = bytearray(wire.decode(_TOKEN))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(AuthenticationFailed):
        BiscuitAuthenticator([mint.keys.public], "toto", "kms-c1").authenticate(wire.encode(bytes(raw)), NOW)


_MINT = Mint.new()
_TOKEN = _MINT.token()
