"""The seal `pkcs11` against SoftHSM 2."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kms_actors.config import Pkcs11Seal, SettingError
from kms_actors.errors import IntegrityError, SealRefused, SealUnavailable
from kms_actors.seals.pkcs11.provider import Pkcs11Provider
from kms_actors.seals.pkcs11.thread import HsmThread
from kms_actors.seals.provider import Wrapped
from kms_actors.secret import SecretBytes
from tests.support.hsm import PIN, SoftHsm

KEY = bytes(range(32))


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftHsm]:
    made = SoftHsm.make(tmp_path)
    made.make_key("master", "01")
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.configuration))
    yield made
    pkcs11 = pytest.importorskip("pkcs11")
    pkcs11.lib(str(made.library)).finalize()  # the next test has another token


def provider(hsm: SoftHsm, namespace: str = "kms-c1", **more: Any) -> Pkcs11Provider:
    return Pkcs11Provider(msgspec.convert(hsm.settings(**more), Pkcs11Seal), namespace)


async def test_what_is_wrapped_opens_again_and_names_the_key_of_the_hsm(hsm: SoftHsm) -> None:
    own = provider(hsm)
    await own.check()
    wrapped, again = await own.wrap(SecretBytes(KEY)), await own.wrap(SecretBytes(KEY))
    assert (wrapped.key_id, len(wrapped.blob)) == ("master/01", 12 + 32 + 16)
    assert wrapped.blob != again.blob
    assert KEY not in wrapped.blob
    assert (await own.unwrap(wrapped)).reveal() == KEY


async def test_the_token_may_be_named_by_its_slot(hsm: SoftHsm) -> None:
    import pkcs11  # noqa: PLC0415

    slot = pkcs11.lib(str(hsm.library)).get_token(token_label="kms").slot.slot_id
    by_slot = Pkcs11Provider(msgspec.convert({**hsm.settings(slot=slot), "token_label": None}, Pkcs11Seal), "kms-c1")
    wrapped = await by_slot.wrap(SecretBytes(KEY))
    assert (await provider(hsm).unwrap(wrapped)).reveal() == KEY
    nowhere = Pkcs11Provider(msgspec.convert({**hsm.settings(slot=4), "token_label": None}, Pkcs11Seal), "kms-c1")
    with pytest.raises(SealUnavailable, match="no token in slot 4"):
        await nowhere.wrap(SecretBytes(KEY))


async def test_a_newer_key_wraps_and_the_older_one_still_opens(hsm: SoftHsm) -> None:
    old = await provider(hsm).wrap(SecretBytes(KEY))
    await asyncio.to_thread(hsm.make_key, "master", "02")
    await asyncio.to_thread(hsm.make_key, "next", "03")
    with pytest.raises(SealRefused, match=r"several AES keys `master`.*key_id"):
        await provider(hsm).wrap(SecretBytes(KEY))
    for newer, named in (
        (provider(hsm, key_id="02"), "master/02"),
        (provider(hsm, key_label="next"), "next/03"),
    ):
        assert (await newer.wrap(SecretBytes(KEY))).key_id == named
        assert (await newer.unwrap(old)).reveal() == KEY


async def test_a_key_without_an_id_still_opens_beside_a_newer_one_of_its_label(hsm: SoftHsm) -> None:
    """Else who has made the newer one, as the rotation wants it, cannot start a node any more."""
    await asyncio.to_thread(hsm.make_key, "plain", "")
    old = await provider(hsm, key_label="plain").wrap(SecretBytes(KEY))
    assert old.key_id == "plain/"
    await asyncio.to_thread(hsm.make_key, "plain", "05")
    newer = provider(hsm, key_label="plain", key_id="05")
    assert (await newer.wrap(SecretBytes(KEY))).key_id == "plain/05"
    assert (await newer.unwrap(old)).reveal() == KEY
    with pytest.raises(SealRefused, match=r"several AES keys `plain`.*key_id"):
        await provider(hsm, key_label="plain").wrap(SecretBytes(KEY))


async def test_a_key_that_may_not_do_both_says_so(hsm: SoftHsm) -> None:
    await asyncio.to_thread(hsm.make_key, "in", "06", 256, "ENCRYPT")
    await asyncio.to_thread(hsm.make_key, "out", "07", 256, "DECRYPT")
    own = provider(hsm, key_label="in")
    with pytest.raises(SealRefused, match="the HSM's AES key `in` may not decrypt"):
        await own.unwrap(await own.wrap(SecretBytes(KEY)))
    with pytest.raises(SealRefused, match="the HSM's AES key `out` may not encrypt"):
        await provider(hsm, key_label="out").wrap(SecretBytes(KEY))


async def test_what_the_binding_makes_of_an_hsm_is_told_in_our_words(hsm: SoftHsm) -> None:
    """Its own errors are Python's, and their texts not ours."""
    own = provider(hsm)
    wrapped = await own.wrap(SecretBytes(KEY))

    def broken(*_: Any) -> Any:
        raise ValueError(PIN)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own, "_found", broken)
        with pytest.raises(SealUnavailable, match="the HSM fails: ValueError") as caught:
            await own.unwrap(wrapped)
    assert PIN not in str(caught.value)
    assert (await own.unwrap(wrapped)).reveal() == KEY


async def test_a_key_that_is_too_short_wraps_nothing(hsm: SoftHsm) -> None:
    await asyncio.to_thread(hsm.make_key, "short", "04", 128)
    with pytest.raises(SealRefused, match="AES key `short` has 128 bits, not 256"):
        await provider(hsm, key_label="short").wrap(SecretBytes(KEY))


async def test_what_was_changed_moved_or_of_another_key_does_not_open(hsm: SoftHsm) -> None:
    own = provider(hsm)
    wrapped = await own.wrap(SecretBytes(KEY))
    changed = wrapped.blob[:-1] + bytes([wrapped.blob[-1] ^ 1])
    for broken in (Wrapped(wrapped.key_id, changed), Wrapped(wrapped.key_id, wrapped.blob[:20])):
        with pytest.raises((IntegrityError, SealUnavailable)):
            await own.unwrap(broken)
    with pytest.raises((IntegrityError, SealUnavailable)):
        await provider(hsm, namespace="kms-c2").unwrap(wrapped)
    with pytest.raises(SealRefused, match="no AES key `master/09`"):
        await own.unwrap(Wrapped("master/09", wrapped.blob))
    with pytest.raises(IntegrityError, match="names no key"):
        await own.unwrap(Wrapped("master", wrapped.blob))
    assert (await own.unwrap(wrapped)).reveal() == KEY  # and nothing is broken by that


async def test_an_hsm_that_was_away_is_found_again(hsm: SoftHsm) -> None:
    own = provider(hsm)
    wrapped = await own.wrap(SecretBytes(KEY))
    hsm.take_away()
    for _ in range(3):
        with pytest.raises(SealUnavailable, match="the HSM"):
            await own.unwrap(wrapped)
    hsm.bring_back()
    assert (await own.unwrap(wrapped)).reveal() == KEY


async def test_a_wrong_pin_is_tried_once_and_a_corrected_one_at_once(
    hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = provider(hsm)
    wrong = "canary-9999"
    hsm.pin_file.write_text(wrong)
    loads: list[str] = []
    pkcs11 = pytest.importorskip("pkcs11")
    lib = pkcs11.lib

    def counted(place: str) -> Any:
        loads.append(place)
        return lib(place)

    monkeypatch.setattr(pkcs11, "lib", counted)
    for _ in range(3):
        with pytest.raises(SealRefused, match="does not take the PIN in") as caught:
            await own.wrap(SecretBytes(KEY))
        assert caught.value.lasting
        assert wrong not in str(caught.value)
    assert len(loads) == 1  # a session begins with it
    hsm.pin_file.write_text(PIN)
    assert (await own.wrap(SecretBytes(KEY))).key_id == "master/01"


async def test_settings_that_cannot_be_used_are_named(hsm: SoftHsm) -> None:
    with pytest.raises(SettingError, match=r"pkcs11\.library`: .*/none.so: no such file"):
        await provider(hsm, library=str(hsm.directory / "none.so")).check()
    hsm.pin_file.chmod(0o644)
    with pytest.raises(SettingError, match=r"pkcs11\.pin_file`: .* is open to others \(mode 0644\)"):
        await provider(hsm).check()
    hsm.pin_file.chmod(0o600)
    pin = hsm.pin_file.read_bytes()
    hsm.pin_file.write_bytes(b"canary-\xff\n")
    for use in (provider(hsm).check(), provider(hsm).wrap(SecretBytes(KEY))):
        with pytest.raises(SettingError, match=r"pkcs11\.pin_file`: .* holds no PIN") as caught:
            await use
        assert "canary" not in str(caught.value)
    hsm.pin_file.write_bytes(pin)
    not_a_library = hsm.directory / "text.so"
    not_a_library.write_text("no library")
    with pytest.raises(SealUnavailable, match=r"key `.*pkcs11\.library`: .*/text.so cannot be loaded"):
        await provider(hsm, library=str(not_a_library)).wrap(SecretBytes(KEY))


async def test_a_call_that_hangs_holds_up_nobody_for_long_and_no_second_one_is_begun() -> None:
    released, begun = threading.Event(), 0

    def hang() -> int:
        nonlocal begun
        begun += 1
        released.wait(30)
        return 7

    thread = HsmThread(seconds=0.05)
    for _ in range(3):
        with pytest.raises(SealUnavailable, match="does not answer in time"):
            await thread.run(hang)
    assert begun == 1
    released.set()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await thread.run(os.getpid) == os.getpid()
                break
            except SealUnavailable:
                continue


async def test_what_a_call_raises_is_raised_where_it_was_waited_for() -> None:
    def fail() -> None:
        raise IntegrityError("x")

    with pytest.raises(IntegrityError):
        await HsmThread().run(fail)
