"""Key material is overwritten when nobody needs it, and never under somebody who does.

The kind: memory that is freed keeps what was there. Holders of keys overwrite them as they end, which is safe because
it is left alone while anything else refers to the same bytes.
"""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from kms_actors import secret
from kms_actors.keyring.keyring import Keyring
from kms_actors.keyring.seal import UnsealProgress
from kms_actors.secret import SecretBytes, overwrite, room
from kms_actors.transit.records import VersionRecord, WrappingKey
from kms_actors.transit.schemes.ed25519 import Ed25519, SigningKey


@pytest.fixture
def overwritten(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Collects what is overwritten, as it was before."""
    gc.collect()  # what other tests left behind ends now
    seen: list[bytes] = []

    def watch(value: bytes) -> None:
        seen.append(bytes(bytearray(value)))
        overwrite(value)

    monkeypatch.setattr(secret, "overwrite", watch)
    return seen


def copy(value: bytes) -> bytes:
    return bytes(bytearray(value))


def test_what_is_overwritten_is_zeros() -> None:
    value = os.urandom(32)
    overwrite(value)
    assert value == bytes(32)


@pytest.mark.parametrize("value", [b"", b"a", b"a constant"])
def test_what_may_be_shared_by_the_interpreter_is_left_alone(value: bytes) -> None:
    before = copy(value)
    overwrite(value)
    assert value == before


def test_a_secret_that_ends_is_overwritten(overwritten: list[bytes]) -> None:
    key = os.urandom(32)
    known = copy(key)
    holder = SecretBytes(key)
    del key
    assert holder.reveal() == known
    del holder
    assert overwritten == [known]


def test_a_secret_that_something_else_holds_is_left_alone(overwritten: list[bytes]) -> None:
    key = os.urandom(32)
    known = copy(key)
    first, second = SecretBytes(key), SecretBytes(key)
    del first
    assert (key, second.reveal(), overwritten) == (known, known, [])
    del key
    assert second.reveal() == known
    revealed = second.reveal()
    del second
    assert (revealed, overwritten) == (known, [])


def test_secrets_in_a_cycle_are_overwritten_by_a_collection(overwritten: list[bytes]) -> None:
    cycle: list[object] = [SecretBytes(os.urandom(32))]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert len(overwritten) == 1


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: VersionRecord(os.urandom(32), os.urandom(32), 0), ("key", "hmac_key")),
        (lambda: WrappingKey(os.urandom(64), b"public"), ("private",)),
    ],
    ids=["version", "wrapping key"],
)
def test_a_record_with_keys_is_overwritten_when_it_ends(
    overwritten: list[bytes], make: Callable[[], object], names: tuple[str, ...]
) -> None:
    record = make()
    expected = {copy(getattr(record, name)) for name in names}
    overwritten.clear()
    del record
    assert set(overwritten) == expected


def test_a_keyring_that_ends_leaves_nothing(overwritten: list[bytes]) -> None:
    keyring = Keyring.generate(0.0).rotated(1.0)
    keys = {copy(key.key) for key in keyring._keys}
    overwritten.clear()
    del keyring
    assert set(overwritten) == keys
    assert len(keys) == 2


def test_shares_are_overwritten_unless_a_later_progress_has_them(overwritten: list[bytes]) -> None:
    first = UnsealProgress("n", (os.urandom(33),), 0, 1)
    known = copy(first.parts[0])
    second = UnsealProgress("n", (*first.parts, os.urandom(33)), 0, 1)
    del first
    assert (overwritten, second.parts[0]) == ([], known)
    other = second.parts
    del second
    assert overwritten == []
    del other


def test_a_signing_key_that_ends_leaves_nothing_and_signs_the_same(overwritten: list[bytes]) -> None:
    made = Ed25519().generate()
    known = copy(made.private)
    key = Ed25519().private(made.private)
    signature = key.sign(b"data")
    assert key.library.sign(b"data") == signature
    assert key.public_key().verify(signature, b"data")
    assert made.private == known
    overwritten.clear()
    del key
    assert overwritten == [known]
    assert SigningKey(known[:32]).sign(b"data") == signature


def test_lent_room_is_zeros_in_the_end() -> None:
    with room(64) as buffer:
        buffer[:32] = os.urandom(32)
    assert buffer == bytes(64)
    with contextlib.suppress(KeyError), room(64) as buffer:
        buffer[:32] = os.urandom(32)
        raise KeyError
    assert buffer == bytes(64)


def test_secrets_that_live_until_the_end_of_a_program_end_in_silence() -> None:
    """Modules are emptied by then, this one's and those that it uses."""
    program = (
        "from kms_actors.secret import SecretBytes\n"
        "from kms_actors.keyring.keyring import Keyring\n"
        "from kms_actors.keyring.seal import UnsealProgress\n"
        "import os, sys\n"
        "kept = [SecretBytes(os.urandom(32)), Keyring.generate(0.0), UnsealProgress('n', (os.urandom(33),), 0, 1)]\n"
        "sys.kept = kept\n"
        "kept.append(kept)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
