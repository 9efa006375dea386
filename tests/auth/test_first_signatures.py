"""Tokens in the first third-party scheme: one form is taken on demand, and nothing else of that scheme ever.

The kind: an old and weaker way in, opened for good tokens, lets bad ones in as well. So what is taken is a list of
what may be there, not of what may not.
"""

from __future__ import annotations

from collections.abc import Iterator

import biscuit_auth
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from kms_actors.auth import wire
from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.auth.keys import TokenKeys
from kms_actors.auth.principal import Right
from kms_actors.errors import AuthenticationFailed
from tests.auth.mint import NAMESPACE, NOW, VAULT, Mint, first_scheme, third_party
from tests.support.walkthrough import SAMPLE_TOKENS

SAMPLES = [SAMPLE_TOKENS[name] for name in ("cluster_operator", "tenant_operator", "tenant")]
PUBLIC = SAMPLE_TOKENS["root_public_key"], SAMPLE_TOKENS["service_public_key"]
KEYS = TokenKeys.generate()
MINT = Mint(KEYS)
GOOD = f'owner("orga_1"); resource("{VAULT}"); rights({{,}});'


def accepting(*keys: tuple[str, str]) -> BiscuitAuthenticator:
    return BiscuitAuthenticator(keys or [PUBLIC], "toto", NAMESPACE, accept_first_signatures=True)


def payload(datalog: str) -> bytes:
    """Return the block as tools of 2024 encoded it: as today's, but for the version of Datalog."""
    fields = wire.read(wire.parse(wire.decode(MINT.raw(datalog))).blocks[1].payload)
    return wire.write([(3, 4) if number == 3 else (number, value) for number, value in fields])


def refused(token: str, *keys: tuple[str, str]) -> str:
    with capture_logs() as logs, pytest.raises(AuthenticationFailed):
        accepting(*(keys or [KEYS.public])).authenticate(token, NOW)
    return str(logs[0]["reason"])


@pytest.mark.parametrize(
    ("token", "resource", "right"),
    list(zip(SAMPLES, (NAMESPACE, VAULT, VAULT), (Right.OPERATOR, Right.ROOT, Right.DATA), strict=True)),
    ids=["cluster_operator", "tenant_operator", "tenant"],
)
def test_tokens_of_2024_are_taken_on_demand(token: str, resource: str, right: Right) -> None:
    principal = accepting().authenticate(token, NOW)
    assert (principal.resource, principal.right, principal.expires_at) == (resource, right, None)
    assert principal.metadata == {"owner": "orga_f3022f60-b304-4722-89ac-e23630558112"}
    assert not principal.narrowed
    assert list(principal.revocation_ids) == biscuit_ids(token)


@pytest.mark.parametrize("token", SAMPLES)
def test_they_are_refused_by_default_and_the_log_says_why(token: str) -> None:
    with capture_logs() as logs, pytest.raises(AuthenticationFailed):
        BiscuitAuthenticator([PUBLIC], "toto", NAMESPACE).authenticate(token, NOW)
    assert "first signature scheme" in logs[0]["reason"]


def test_tokens_of_today_are_taken_as_before() -> None:
    authenticator = accepting(KEYS.public)
    token = MINT.narrowed(MINT.token(), 'check if path("a");')
    assert authenticator.authenticate(token, NOW).narrowed


def test_what_the_mint_of_these_tests_makes_is_taken() -> None:
    assert accepting(KEYS.public).authenticate(first_scheme(KEYS, payload(GOOD)), NOW).right is Right.DATA


@pytest.mark.parametrize("name", ["cluster", "admin", "nonce"])
def test_names_that_every_block_knows_are_read(name: str) -> None:
    token = first_scheme(KEYS, payload(f'owner("{name}"); resource("{name}"); rights({{"root"}});'))
    principal = accepting(KEYS.public).authenticate(token, NOW)
    assert (principal.resource, principal.metadata) == (name, {"owner": name})


@given(token=st.sampled_from(SAMPLES), data=st.data())
def test_any_changed_byte_is_refused(token: str, data: st.DataObject) -> None:
    raw = bytearray(wire.decode(token))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(AuthenticationFailed):
        accepting().authenticate(wire.encode(bytes(raw)), NOW)


@pytest.mark.parametrize("token", SAMPLES)
def test_every_flipped_bit_of_the_first_and_last_bytes_of_each_part_is_refused(token: str) -> None:
    raw, authenticator = wire.decode(token), accepting()
    for place in parts(raw):
        for bit in range(8):
            changed = bytearray(raw)
            changed[place] ^= 1 << bit
            with pytest.raises(AuthenticationFailed):
                authenticator.authenticate(wire.encode(bytes(changed)), NOW)


@pytest.mark.parametrize(
    "facts",
    [
        f'resource("{VAULT}"); rights({{,}});',
        f'owner("a"); owner("b"); resource("{VAULT}"); rights({{,}});',
        f'owner("a"); owner("a"); resource("{VAULT}"); rights({{,}});',
        f'owner("a"); resource("{VAULT}"); resource("b"); rights({{,}});',
        f'owner("a"); resource("{VAULT}"); rights({{,}}); rights({{"root"}});',
        f'owner("a"); resource("{VAULT}"); rights({{"root", "operator"}});',
        f'owner("a"); resource("{VAULT}"); rights({{"admin"}});',
        f'owner("a"); resource("{VAULT}"); rights({{1}});',
        f'owner("a"); resource("{VAULT}"); rights("root");',
        f'owner("a"); resource("{VAULT}"); rights(["root"]);',
        f'owner("a"); resource({{"{VAULT}"}}); rights({{"root"}});',
        f'owner(1); resource("{VAULT}"); rights({{,}});',
        f'owner(null); resource("{VAULT}"); rights({{,}});',
        f'owner("a", "b"); resource("{VAULT}"); rights({{,}});',
        f'{GOOD} team("a");',
        f"{GOOD} check if true;",
        f"{GOOD} check if time($t), $t < 2100-01-01T00:00:00Z;",
        f"{GOOD} reject if false;",
        f"{GOOD} team($x) <- owner($x);",
        f"{GOOD} check if true trusting ed25519/{KEYS.public[0]};",
        "",
    ],
)
def test_other_facts_and_anything_else_in_the_block_are_refused(facts: str) -> None:
    assert "in one form only" in refused(first_scheme(KEYS, payload(facts)))


@pytest.mark.parametrize("further", [(2, b"context"), (7, b"\x08\x01"), (8, b"\x08\x00\x12\x01k"), (9, 1)])
def test_other_parts_of_the_block_are_refused(further: wire.Field) -> None:
    block = wire.write([*wire.read(payload(GOOD)), further])
    assert "more than facts" in refused(first_scheme(KEYS, block))


@pytest.mark.parametrize("resource", ["root", NAMESPACE, "a/b", "a" * 129])
def test_a_resource_that_is_no_vault_is_refused(resource: str) -> None:
    reason = refused(first_scheme(KEYS, payload(f'owner("a"); resource("{resource}"); rights({{"root"}});')))
    assert "the resource" in reason


def test_other_numbers_of_blocks_are_refused() -> None:
    good = payload(GOOD)
    for further in (b"\x18\x03", payload("check if true;"), good):
        assert "two blocks" in refused(first_scheme(KEYS, good, further))


def test_sealed_tokens_and_named_root_keys_are_refused() -> None:
    assert "two blocks" in refused(first_scheme(KEYS, payload(GOOD), sealed=True))
    named = wire.encode(b"\x08\x01" + wire.decode(first_scheme(KEYS, payload(GOOD))))
    assert "two blocks" in refused(named)


def test_an_authority_block_that_says_something_is_refused() -> None:
    says = wire.parse(wire.decode(MINT.raw(GOOD, authority='owner("b");'))).blocks[0].payload
    assert "authority block" in refused(first_scheme(KEYS, payload(GOOD), authority=says))


def test_other_versions_and_keys_are_refused() -> None:
    good = payload(GOOD)
    for version in (1, 2):
        assert refused(first_scheme(KEYS, good, version=version))
    assert "second block" in refused(first_scheme(KEYS, good, signer=1))
    assert "Datalog" in refused(first_scheme(KEYS, good + b"\x18\x04"))
    assert "Datalog" in refused(first_scheme(KEYS, good.replace(b"\x18\x04", b"")))
    other = TokenKeys.generate()
    assert "unknown service key" in refused(first_scheme(TokenKeys(KEYS.root, other.service), good))
    assert "root key" in refused(first_scheme(TokenKeys(other.root, KEYS.service), good))


def test_a_service_block_does_not_move_to_another_token() -> None:
    """The service's signature names the key that the authority block names, which is each token's own."""
    first, second = (wire.read(wire.decode(first_scheme(KEYS, payload(GOOD)))) for _ in range(2))
    assert refused(wire.encode(wire.write([first[0], *second[1:]])))
    assert refused(wire.encode(wire.write([*first[:2], second[2]])))


def test_an_old_service_block_in_a_token_of_today_is_refused() -> None:
    old = wire.read(wire.decode(first_scheme(KEYS, payload(GOOD))))
    new = wire.read(wire.decode(MINT.token()))
    assert refused(wire.encode(wire.write([new[0], old[1], old[2]])))
    stranger = third_party(MINT.open(MINT.token()), biscuit_auth.KeyPair(), 'team("a");')
    blocks = wire.read(bytes(stranger.to_bytes()))
    third = blocks[2][1]
    assert isinstance(third, bytes)
    older = wire.write([field for field in wire.read(third) if field[0] != 5])
    assert "two blocks" in refused(wire.encode(wire.write([*blocks[:2], (3, older), blocks[3]])))


def biscuit_ids(token: str) -> list[str]:
    """Return the revocation ids of the specification: the signature of each block, in hex."""
    return [block.signature.hex() for block in wire.take_apart(wire.decode(token)).blocks]


def parts(raw: bytes) -> Iterator[int]:
    """Yield where each block and the proof begin and end, and the bytes around."""
    place = 0
    for _, value in wire.read(raw):
        assert isinstance(value, bytes)
        head = len(wire.write([(2, value)])) - len(value)
        yield from range(place, place + head + 4)
        place += head + len(value)
        yield from range(place - 4, place)
