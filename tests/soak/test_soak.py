"""What judges a long run finds what is planted: a write that is lost, or came twice, and memory that grows."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.soak import trouble as troubles
from tests.soak.ledger import Ledger, Secret
from tests.soak.trouble import Trouble
from tests.soak.vaults import Vault
from tests.soak.watch import Sample, Watch, slope
from tests.support.node import Node

A, B = Vault("vault_a", "token"), Vault("vault_b", "token")


def secret(*acknowledged: bool) -> Secret:
    """Return one with writes 1, 2, …, that were acknowledged or not."""
    made = Secret()
    for known in acknowledged:
        number = made.next()
        (made.written if known else made.unheard)(number)
    return made


@pytest.mark.parametrize(
    ("writes", "number", "version", "good"),
    [
        ((), 0, 0, True),
        ((), 1, 1, False),
        ((True, True), 2, 2, True),
        ((True, True), 1, 1, False),  # the last one is lost
        ((True, True), 0, 0, False),  # all are
        ((True, True), 2, 3, False),  # one was done twice
        ((True, True), 2, 1, False),  # one is missing before it
        ((True, False), 1, 1, True),
        ((True, False), 2, 2, True),
        ((True, False), 2, 1, True),  # the other may come to be
        ((True, False), 1, 3, False),
        ((False, True), 1, 1, False),  # what came later was acknowledged
        ((False, True), 2, 1, True),
        ((False, True), 2, 2, True),
        ((False, False), 2, 2, True),
        ((False, False), 0, 0, True),
    ],
)
def test_a_secret_is_as_it_was_acknowledged(writes: tuple[bool, ...], number: int, version: int, good: bool) -> None:
    assert (secret(*writes).fault(number, version) is None) is good


def test_ciphertexts_are_kept_from_all_of_a_run() -> None:
    ledger = Ledger()
    for number in range(20_000):
        ledger.encrypted("vault_a", str(number), "")
    numbers = [int(ciphertext) for _, ciphertext, _ in ledger.ciphertexts]
    assert 1_000 < len(numbers) <= 4_096
    assert min(numbers) < 100
    assert max(numbers) > 19_000


def test_memory_that_grows_is_told_by_process() -> None:
    watch = Watch(0)
    for seconds in range(0, 3600, 60):
        memory = {1: 100.0, 2: 100 + seconds / 60, **({3: 50.0} if seconds < 600 else {})}
        watch.samples.append(Sample(float(seconds), memory, Counter()))
    growth = watch.growth(0)
    assert set(growth) == {1, 2}  # the third has ended
    assert growth[1] == pytest.approx(0)
    assert growth[2] == pytest.approx(60)
    assert slope([(1.0, 5.0)]) == 0


@pytest.fixture
def trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trouble:
    monkeypatch.setattr(troubles, "_OVER", 0.05)
    return Trouble(Node(tmp_path, "", "", ""), None, [A], None, tmp_path)


async def test_only_whom_it_befalls_is_excused_and_not_for_long(trouble: Trouble) -> None:
    before = time.monotonic()
    assert not trouble.excused(A, before)
    async with trouble._excusing("vault_a", 0.05, "a seal"):
        assert trouble.excused(A, before)
        assert trouble.excused(A, time.monotonic())
        assert not trouble.excused(B, before)
    assert trouble.excused(A, time.monotonic())
    await asyncio.sleep(0.06)
    assert trouble.excused(A, before), "it began while that lasted"
    assert not trouble.excused(A, time.monotonic())
    async with trouble._excusing("", 0, "a kill"):
        assert trouble.excused(B, time.monotonic())
