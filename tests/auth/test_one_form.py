"""A token has one form in bytes, so a revoked one has no twin.

The kind: what is revoked is known by its signatures, and something that bears the same rights has others. Made
impossible by taking one encoding of the blocks only, and signatures of Ed25519, strictly checked, between them.
"""

from __future__ import annotations

import base64
import contextlib

import biscuit_auth
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.auth import wire
from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.auth.wire import TokenRefused
from kms_actors.errors import AuthenticationFailed
from tests.auth.mint import NAMESPACE, NOW, Mint, block_fields, rewritten, third_party

MINT = Mint.new()
AUTHENTICATOR = BiscuitAuthenticator([MINT.keys.public], "toto", NAMESPACE)
NARROWED = MINT.narrowed(MINT.token(), 'check if operation("read");')
CURVE = ec.generate_private_key(ec.SECP256R1())
STRANGER = biscuit_auth.KeyPair.from_private_key(
    biscuit_auth.PrivateKey(f"secp256r1-private/{CURVE.private_numbers().private_value:064x}")
)
STRANGERS = third_party(MINT.open(NARROWED), STRANGER, 'team("a");').to_base64()
TOKENS = [MINT.token(), NARROWED, STRANGERS]

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def refused(raw: bytes | str) -> None:
    text = raw if isinstance(raw, str) else wire.encode(raw)
    with pytest.raises(AuthenticationFailed):
        AUTHENTICATOR.authenticate(text, NOW)


@pytest.mark.parametrize("token", TOKENS)
def test_these_tokens_are_taken(token: str) -> None:
    assert AUTHENTICATOR.authenticate(token, NOW).revocation_ids


@given(token=st.sampled_from(TOKENS), data=st.data())
def test_no_mutation_is_taken(token: str, data: st.DataObject) -> None:
    raw = bytearray(wire.decode(token))
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 40)))
    changed = bytes(raw[:start]) + data.draw(st.binary(max_size=40)) + bytes(raw[end:])
    if changed != raw and not names_a_root_key_before(changed, bytes(raw)):
        refused(changed)


def names_a_root_key_before(changed: bytes, raw: bytes) -> bool:
    """The one thing that may be added, see below."""
    if not changed.endswith(raw):
        return False
    with contextlib.suppress(TokenRefused):
        return [number for number, _ in wire.read(changed[: -len(raw)])] == [1]
    return False


@given(token=st.sampled_from(TOKENS), data=st.data())
def test_no_other_protobuf_of_the_same_content_is_taken(token: str, data: st.DataObject) -> None:
    """Fields repeated, moved, unknown, or of another type, at any depth of the envelope."""
    other = varied(wire.decode(token), data, "token")
    if other != wire.decode(token) and not names_a_root_key_before(other, wire.decode(token)):
        refused(other)


#: Which fields of each message are messages.
MESSAGES: dict[str, dict[int, str]] = {
    "token": {2: "block", 3: "block", 4: "proof"},
    "block": {2: "key", 4: "external"},
    "external": {2: "key"},
    "key": {},
    "proof": {},
}


def varied(message: bytes, data: st.DataObject, kind: str) -> bytes:
    fields = wire.read(message)
    place = data.draw(st.integers(0, len(fields) - 1))
    number, value = fields[place]
    nested = MESSAGES[kind].get(number)
    if nested is not None and isinstance(value, bytes) and data.draw(st.booleans()):
        fields[place] = (number, varied(value, data, nested))
        return wire.write(fields)
    match data.draw(st.sampled_from(["repeat", "unknown", "move", "type", "long"])):
        case "repeat":
            fields.insert(data.draw(st.integers(0, len(fields))), fields[place])
        case "unknown":
            unknown = (data.draw(st.integers(1, 20)), data.draw(st.integers(0, 9) | st.binary(max_size=9)))
            fields.insert(data.draw(st.integers(0, len(fields))), unknown)
        case "move":
            fields.insert(data.draw(st.integers(0, len(fields) - 1)), fields.pop(place))
        case "type":
            fields[place] = (number, b"\1" if isinstance(value, int) else len(value))
        case "long":  # the number of the first field, in one byte more than it takes
            return bytes([message[0] | 0x80, 0]) + message[1:]
    return wire.write(fields)


@pytest.mark.parametrize("token", TOKENS)
def test_a_root_key_id_and_a_seal_are_in_no_revocation_id(token: str) -> None:
    """Neither is signed; both are in the specification. A revoked token stays revoked with them."""
    ids = AUTHENTICATOR.authenticate(token, NOW).revocation_ids
    named = wire.encode(b"\x08\x07" + wire.decode(token))
    assert AUTHENTICATOR.authenticate(named, NOW).revocation_ids == ids
    parsed = wire.parse(wire.decode(token))
    last = parsed.blocks[-1]
    assert parsed.next_secret is not None
    key = Ed25519PrivateKey.from_private_bytes(parsed.next_secret)
    fields = wire.read(wire.decode(token))
    content = last.payload + (0).to_bytes(4, "little") + last.next_key.key + last.signature
    sealed = wire.encode(wire.write([*fields[:-1], (4, wire.write([(2, key.sign(content))]))]))
    assert AUTHENTICATOR.authenticate(sealed, NOW).revocation_ids == ids


@pytest.mark.parametrize("proof", [[], [(1, b"k" * 32), (2, b"s" * 64)], [(3, b"")], [(1, 5)], [(2, 5)]])
def test_a_token_ends_in_one_proof(proof: list[wire.Field]) -> None:
    fields = wire.read(wire.decode(MINT.token()))
    refused(wire.write([*fields[:-1], (4, wire.write(proof))]))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_key_that_signs_blocks_is_ed25519(place: int) -> None:
    fields = block_fields(NARROWED, place)
    fields[1] = (2, public(1, point(CURVE)))
    with pytest.raises(TokenRefused, match="Ed25519"):
        wire.parse(wire.decode(rewritten(NARROWED, place, fields)))


def test_the_twin_that_an_elliptic_curve_allows_is_refused() -> None:
    """Anyone can turn such a signature (r, s) into (r, n-s), which holds as well."""
    parsed = wire.parse(wire.decode(MINT.token()))
    assert parsed.next_secret is not None
    owner, last = Ed25519PrivateKey.from_private_bytes(parsed.next_secret), Ed25519PrivateKey.generate()
    first = unsigned(1, point(CURVE))
    first.append((3, owner.sign(signed(1, point(CURVE)))))
    r, s = decode_dss_signature(CURVE.sign(signed(0, raw_public(last)), ec.ECDSA(hashes.SHA256())))
    for signature in (encode_dss_signature(r, s), encode_dss_signature(r, ORDER - s)):
        second = [*unsigned(0, raw_public(last)), (3, signature)]
        raw = wire.write(
            [
                *((number, wire.write(block)) for number, block in zip((2, 3), blocks(parsed), strict=True)),
                *((3, wire.write(block)) for block in (first, second)),
                (4, wire.write([(1, last.private_bytes_raw())])),
            ]
        )
        assert MINT.open(wire.encode(raw)).block_count() == 4  # the library takes both
        refused(raw)


EMPTY = wire.write([(3, 3)])


def unsigned(algorithm: int, key: bytes) -> list[wire.Field]:
    return [(1, EMPTY), (2, public(algorithm, key))]


def signed(algorithm: int, key: bytes) -> bytes:
    return EMPTY + algorithm.to_bytes(4, "little") + key


def public(algorithm: int, key: bytes) -> bytes:
    return wire.write([(1, algorithm), (2, key)])


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    numbers = key.public_key().public_numbers()
    return bytes([2 + numbers.y % 2]) + numbers.x.to_bytes(32, "big")


def raw_public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def blocks(token: wire.Token) -> list[list[wire.Field]]:
    """Return the fields of each block, as they were."""
    found: list[list[wire.Field]] = []
    for block in token.blocks:
        fields: list[wire.Field] = [(1, block.payload), (2, public(*block.next_key)), (3, block.signature)]
        if block.signer is not None and block.external is not None:
            fields.append((4, wire.write([(1, block.external), (2, public(*block.signer))])))
        found.append(fields + ([(5, block.version)] if block.version else []))
    return found


@pytest.mark.parametrize("further", ["=", "==", "===", "====", "\n", " ", "A"])
def test_base64_has_one_form_beside_its_padding(further: str) -> None:
    for token in TOKENS:
        raw = wire.decode(token)
        bare, padded = wire.encode(raw), base64.urlsafe_b64encode(raw).decode()
        for text in (bare, padded):
            assert AUTHENTICATOR.authenticate(text, NOW)
            if text + further != padded:
                refused(text + further)


def test_spare_bits_of_the_last_character_are_zero() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # Tokens of every length, by the block's text.
    for length in range(3):
        token = MINT.narrowed(MINT.token(), f'note("{"x" * length}");').rstrip("=")
        spare = {0: 0, 2: 4, 3: 2}[len(token) % 4]
        for bits in range(1, 1 << spare):
            last = alphabet[alphabet.index(token[-1]) | bits]
            with pytest.raises(TokenRefused, match="one form"):
                wire.decode(token[:-1] + last)
