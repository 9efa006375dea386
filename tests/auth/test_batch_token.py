"""Batch tokens: what a vault says in one comes back, and nothing that others say."""

from __future__ import annotations

import msgspec
import pytest
from biscuit_auth import Biscuit, BlockBuilder, KeyPair, PublicKey
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.auth import batch_token, wire
from kms_actors.auth.append import append
from kms_actors.auth.build import attenuate
from kms_actors.auth.principal import Access, Capability, Right
from kms_actors.auth.service_token import ServiceToken
from kms_actors.auth.wire import TokenRefused
from kms_actors.cli.biscuit.inspection import describe
from kms_actors.errors import InvalidRequest

SEED, OTHER_SEED = b"s" * 32, b"o" * 32
KEY = batch_token.public_key(SEED)
NOW = 1_800_000_000
RECORD = ServiceToken(
    accessor="",
    right=Right.POLICY,
    policies=("app", "default"),
    display_name="userpass-ann",
    created=float(NOW),
    path="auth/userpass/login/ann",
    expires_at=NOW + 3600.0,
    creation_ttl=3600,
    metadata={"user": 'a"b\n{p0}', "x": ""},
    orphan=False,
    parent="B" * 24,
    line=("A" * 24, "B" * 24),
    mount=7,
    bound_cidrs=("10.0.0.0/8",),
    entity_id="e-1",
    role="r",
    under="En0KEw",
    indexed=True,
)


def read(token: str, seed: bytes = SEED) -> batch_token.BatchToken:
    return batch_token.read(token, batch_token.public_key(seed), "vault_1", "kms")


def build(tenant: int, record: ServiceToken) -> str:
    return batch_token.build(SEED, KEY, tenant, record)


def use(path: str = "secret/data/a", operation: Capability = Capability.READ, time: float = NOW) -> Access:
    return Access(operation, path, "secret/", "GET", "127.0.0.1", time)


def test_says_what_the_vault_has_said() -> None:
    token = build(61 * 62, RECORD)
    assert token.startswith("hvb.0000z0")
    assert batch_token.tenant_of(token) == 61 * 62
    said = read(token)
    assert said.record == RECORD
    assert (said.checks.narrowed, said.checks.expires_at, said.checks.resource) == (False, None, "vault_1")


def test_a_template_says_the_same_of_other_times() -> None:
    template = batch_token.Template(5, RECORD)
    for created in (NOW, NOW + 77):
        made = template.build(SEED, KEY, created)
        own = msgspec.structs.replace(RECORD, created=float(created), expires_at=created + 3600.0)
        assert read(made).record == read(build(5, own)).record == own
        assert len(made) == len(build(5, own))
        assert batch_token.tenant_of(made) == 5
        biscuit = wire.decode(batch_token.split(made)[1])
        verified = Biscuit.from_bytes(biscuit, PublicKey(f"ed25519/{KEY.hex()}"))
        assert [block.signature.hex() for block in wire.parse(biscuit).blocks] == verified.revocation_ids
        narrowed = read(attenuate(made, now=float(created), ttl=60))
        assert (narrowed.record, narrowed.checks.expires_at) == (own, created + 60)
        key = batch_token.public_key(b"o" * 32)
        with pytest.raises(TokenRefused):
            batch_token.read(made, key, "vault_1", "kms")


def test_a_template_is_made_of_what_fits_alone() -> None:
    with pytest.raises(InvalidRequest):
        batch_token.Template(5, msgspec.structs.replace(RECORD, policies=tuple(map(str, range(500)))))


_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(
    st.lists(_TEXTS, max_size=5, unique=True),
    st.dictionaries(_TEXTS, _TEXTS, max_size=5),
    st.lists(_TEXTS, max_size=3, unique=True),
    _TEXTS,
)
def test_any_texts_come_back(policies: list[str], metadata: dict[str, str], line: list[str], name: str) -> None:
    record = msgspec.structs.replace(
        RECORD,
        policies=tuple(sorted(policies)),
        metadata=metadata or None,
        line=tuple(line),
        parent=line[-1] if line else None,
        display_name=name,
    )
    assert read(build(1, record)).record == record


def test_a_token_of_another_vault_is_refused() -> None:
    token = build(1, RECORD)
    assert batch_token.is_signed_by(token, KEY)
    assert not batch_token.is_signed_by(token, batch_token.public_key(OTHER_SEED))
    assert not batch_token.is_signed_by(token, None)
    with pytest.raises(TokenRefused):
        read(token, OTHER_SEED)


@pytest.mark.parametrize("token", ["", "hvb.", "hvb.000001", "hvb.000001x", "hvb.000001" + "A" * 9000, "hvb.000001é"])
def test_what_is_none_is_refused(token: str) -> None:
    assert not batch_token.is_signed_by(token, KEY)
    with pytest.raises(TokenRefused):
        read(token)


@given(st.text(max_size=60))
def test_any_text_is_no_error(text: str) -> None:
    for token in (text, "hvb." + text, "hvb.000001" + text):
        batch_token.tenant_of(token)
        assert not batch_token.is_signed_by(token, KEY)


def _appended(token: str, code: str) -> str:
    head, biscuit = batch_token.split(token)
    return head + wire.encode(append(wire.decode(biscuit), code, {}))


class TestHolders:
    def test_narrow_it_without_a_server(self) -> None:
        token = build(1, RECORD)
        narrowed = attenuate(token, now=NOW, ttl=60, paths=["secret/data/app/*"], operations=[Capability.READ])
        said = read(narrowed)
        assert said.record == RECORD
        assert said.checks.narrowed
        assert said.checks.expires_at == NOW + 60
        assert said.checks.allows(use("secret/data/app/x"))
        assert not said.checks.allows(use("secret/data/b"))
        assert not said.checks.allows(use("secret/data/app/x", Capability.UPDATE))
        assert not said.checks.allows(use("secret/data/app/x", time=NOW + 60))

    @pytest.mark.parametrize(
        "fact",
        [
            'policy("boss")',
            'right("data")',
            "ttl(99999999)",
            'entity_id("e-2")',
            "mount_number(9)",
            'metadata("user", "boss")',
            "batch_token(1)",
        ],
    )
    def test_say_nothing_that_is_believed(self, fact: str) -> None:
        assert read(_appended(build(1, RECORD), f"{fact};")).record == RECORD

    def test_have_no_rules(self) -> None:
        token = _appended(build(1, RECORD), 'policy("boss") <- created($x);')
        with pytest.raises(TokenRefused):
            read(token)

    def test_bring_no_block_of_another(self) -> None:
        head, biscuit = batch_token.split(build(1, RECORD))
        third = KeyPair()
        made = Biscuit.from_base64(biscuit, PublicKey(f"ed25519/{KEY.hex()}"))
        block = made.third_party_request().create_block(third.private_key, BlockBuilder('policy("boss");'))
        token = head + wire.encode(bytes(made.append_third_party(third.public_key, block).to_bytes()))
        assert not batch_token.is_signed_by(token, KEY)

    def test_cannot_add_checks_that_cost_much(self) -> None:
        costly = "check if " + ", ".join(f"policy($p{n}), metadata($a{n}, $b{n})" for n in range(20)) + ";"
        with pytest.raises(TokenRefused):
            read(_appended(build(1, RECORD), costly))


def test_one_that_says_too_much_is_not_made() -> None:
    for more in (
        msgspec.structs.replace(RECORD, metadata={"x": "y" * 9000}),
        msgspec.structs.replace(RECORD, policies=tuple(f"p{n:03}" for n in range(500))),
    ):
        with pytest.raises(InvalidRequest):
            build(1, more)


def test_a_narrowed_batch_token_is_told_in_words() -> None:
    described = describe(attenuate(build(1, RECORD), now=NOW, paths=["secret/data/app/*"]))
    text = "\n".join(described.lines())
    assert text.startswith("Kind: batch token")
    assert text.count("Narrowed to:") == 1
    assert 'policy("app")' in text
