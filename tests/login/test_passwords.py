from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kms_actors.errors import FormatError
from kms_actors.login import passwords


def test_a_password_matches_its_own_hash_alone() -> None:
    stored = passwords.hashed("pässword")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.matches(stored, "pässword")
    assert not passwords.matches(stored, "password")
    assert passwords.hashed("pässword") != stored


def test_nobody_has_a_password_and_costs_as_much() -> None:
    assert not passwords.matches(passwords.NOBODY, "x")
    assert passwords.NOBODY.rpartition("p=1$")[0] == passwords.hashed("x").rpartition("p=1$")[0]


@pytest.mark.parametrize("stored", ["", "x", "$2b$10$abc", "$argon2i$v=19$m=19456,t=2,p=1$a$b"])
def test_another_form_is_told(stored: str) -> None:
    with pytest.raises(FormatError):
        passwords.matches(stored, "x")


def test_others_go_on_meanwhile() -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(passwords.hashed, "x")
        turns = 0
        while not running.done():
            turns += 1
            time.sleep(0)
    assert turns > 20
