"""A block of facts that is written here is the one that the library makes of the same Datalog, byte by byte."""

from __future__ import annotations

import datetime
import os
from typing import Any

import pytest
from biscuit_auth import Algorithm, Biscuit, BiscuitBuilder, BiscuitValidationError, PrivateKey, PublicKey
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.auth import authority, wire
from kms_actors.auth.authority import Fact
from kms_actors.auth.batch_token import public_key

SEED = b"s" * 32
KEY = public_key(SEED)
NOW = 1_800_000_000

_NAMES = st.sampled_from(["batch_token", "policy", "role", "path", "time", "query", "display_name", "read", "fact"])
_TERMS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.sampled_from(["role", "query", "time", "policy", ""]),
    st.integers(0, 2**63 - 1),
)
_FACTS = st.lists(st.tuples(_NAMES, st.lists(_TERMS, min_size=1, max_size=3).map(tuple)), max_size=8)


def by_library(facts: list[Fact], end: int) -> bytes:
    """Return the block that the library makes."""
    parameters: dict[str, Any] = {"end": datetime.datetime.fromtimestamp(end, datetime.UTC)}
    lines = []
    for number, (name, terms) in enumerate(facts):
        names = [f"p{number}_{place}" for place in range(len(terms))]
        parameters |= zip(names, terms, strict=True)
        lines.append(f"{name}({', '.join(f'{{{each}}}' for each in names)});")
    code = "\n".join([*lines, "check if time($time), $time < {end};"])
    key = PrivateKey.from_bytes(SEED, Algorithm.Ed25519)  # type: ignore[call-arg, attr-defined]  # stubs lag
    return bytes(BiscuitBuilder(code, parameters).build(key).to_bytes())


@given(_FACTS, st.integers(0, 2**40))
def test_a_block_is_the_librarys(facts: list[Fact], end: int) -> None:
    assert authority.payload(facts, end % (2**37)) == wire.parse(by_library(facts, end % (2**37))).blocks[0].payload


_MOMENTS = st.integers(authority.EARLIEST, authority.LATEST)


@given(_FACTS, _FACTS, _MOMENTS, _MOMENTS, _MOMENTS)
def test_a_template_makes_the_same_block(
    before: list[Fact], after: list[Fact], moment: int, end: int, other: int
) -> None:
    template = authority.Template([*before, ("moment", (other,)), *after], "moment")
    assert template.payload(moment, end) == authority.payload([*before, ("moment", (moment,)), *after], end)


@pytest.mark.parametrize("time", [authority.EARLIEST - 1, authority.LATEST + 1, 0])
def test_a_template_takes_no_time_of_another_length(time: int) -> None:
    template = authority.Template([("moment", (1,))], "moment")
    for times in ((time, NOW), (NOW, time)):
        with pytest.raises(ValueError, match="no room"):
            template.payload(*times)


def test_a_token_has_the_librarys_form_and_is_read_by_it() -> None:
    facts: list[Fact] = [("policy", ("app",)), ("created", (NOW,))]
    made = authority.sign(authority.payload(facts, NOW), SEED, KEY)
    ours, theirs = wire.parse(made), wire.parse(by_library(facts, NOW))
    assert ours.blocks[0]._replace(next_key=theirs.blocks[0].next_key, signature=b"") == theirs.blocks[0]._replace(
        signature=b""
    )
    assert len(made) == len(by_library(facts, NOW))
    assert ours.next_secret is not None
    assert public_key(ours.next_secret) == ours.blocks[0].next_key.key
    assert Biscuit.from_bytes(made, PublicKey(f"ed25519/{KEY.hex()}")).block_count() == 1


def test_no_two_tokens_are_one() -> None:
    block = authority.payload([("policy", ("app",))], NOW)
    made = [wire.parse(authority.sign(block, SEED, KEY)) for _ in range(3)]
    assert len({each.next_secret for each in made}) == len({each.blocks[0].signature for each in made}) == 3


def test_another_key_is_not_believed() -> None:
    made = authority.sign(authority.payload([("policy", ("app",))], NOW), os.urandom(32), KEY)
    with pytest.raises(BiscuitValidationError):
        Biscuit.from_bytes(made, PublicKey(f"ed25519/{KEY.hex()}"))
