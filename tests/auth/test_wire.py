from __future__ import annotations

import contextlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from kms_actors.auth import wire
from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.auth.wire import TokenRefused
from kms_actors.errors import AuthenticationFailed
from tests.auth.mint import NOW, Mint, block_fields, rewritten

ED25519 = (0).to_bytes(4, "little")


def raw_public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def public_field(key: Ed25519PrivateKey) -> bytes:
    return wire.write([(1, 0), (2, raw_public(key))])


def first_scheme(mint: Mint, payload: bytes) -> str:
    """Return a token whose signatures are all valid, of the scheme before biscuit 3.2."""
    root = Ed25519PrivateKey.from_private_bytes(mint.keys.root.reveal())
    service = Ed25519PrivateKey.from_private_bytes(mint.keys.service.reveal())
    first, second = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    empty = wire.write([(3, 3)])
    authority = wire.write(
        [(1, empty), (2, public_field(first)), (3, root.sign(empty + ED25519 + raw_public(first)))]
    )
    external = service.sign(payload + ED25519 + raw_public(first))
    block = wire.write(
        [
            (1, payload),
            (2, public_field(second)),
            (3, first.sign(payload + external + ED25519 + raw_public(second))),
            (4, wire.write([(1, external), (2, public_field(service))])),
        ]
    )
    proof = wire.write([(1, second.private_bytes_raw())])
    return wire.encode(wire.write([(2, authority), (3, block), (4, proof)]))


def test_the_first_signature_scheme_is_refused_and_the_log_says_why(
    authenticator: BiscuitAuthenticator, mint: Mint
) -> None:
    payload = wire.parse(wire.decode(mint.token())).blocks[1].payload
    with capture_logs() as logs, pytest.raises(AuthenticationFailed, match=r"^permission denied$"):
        authenticator.authenticate(first_scheme(mint, payload), NOW)
    assert "first signature scheme" in logs[0]["reason"]
    assert "GHSA-rgqv-mwc3-c78m" in logs[0]["reason"]


@pytest.mark.parametrize("version", [[], [(5, 0)], [(5, 2)], [(5, 2**32 + 1)], [(5, b"\1")]])
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
