"""What is sealed and opened while the server is away, and for how long: a key without a server, a clock to set."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kms_actors.cli.kubernetes.envelope import MOST_BYTES, OUTAGE_SECONDS, Envelope
from kms_actors.cli.kubernetes.spare import PREFIX
from kms_actors.cli.kubernetes.transit import KeyInfo, NoToken, Rejected, TransitKey, Unreachable
from kms_actors.cli.sender import RequestFailed

SEED = os.urandom(32)


class Key(TransitKey):
    """A key of Transit whose server can be `away`, or `refuse`; it seals by turning bytes around."""

    def __init__(self) -> None:
        self.name = "transit/cluster-a"  # type: ignore[misc]  # no address, and no token
        self.latest = self.oldest = 1
        self.made = 1_700_000_000
        self.away = self.refuses = self.token_is_away = False
        self.rejected = b""
        self.lost: set[str] = set()  # operations without an answer; `gone`: a read is refused
        self.asked: list[str] = []

    def read(self) -> KeyInfo:
        self._answers("read")
        return KeyInfo("aes256-gcm96", self.latest, dict.fromkeys(range(1, self.latest + 1), self.made), self.oldest)

    def ask(self, operation: str, body: Mapping[str, Any], field: str) -> str:
        self._answers(operation)
        if operation == "encrypt":
            return f"vault:v{self.latest}:{body['plaintext'][::-1]}"
        _, version, text = str(body["ciphertext"]).split(":", 2)
        if int(version[1:]) < self.oldest or body["ciphertext"].encode() == self.rejected:
            raise Rejected("400 ciphertext or signature version is disallowed by policy (too old)")
        return text[::-1]

    def _answers(self, operation: str) -> None:
        self.asked.append(operation)
        if self.away or operation in self.lost:
            raise Unreachable("no answer: none in time")
        if self.token_is_away:
            raise NoToken("there is no token")
        if "gone" in self.lost and operation == "read":
            raise RequestFailed("404 encryption key not found")
        if self.refuses:
            raise RequestFailed("403 permission denied")


@pytest.fixture
def key() -> Key:
    return Key()


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def envelope(key: Key, clock: Clock) -> Envelope:
    envelope = Envelope(key, clock)
    envelope.follow()
    return envelope


def look(envelope: Envelope) -> None:
    """Look at the key, as it is done every five seconds."""
    with pytest.raises(Unreachable):
        envelope.follow()


def test_an_api_server_that_starts_in_an_outage_has_its_new_seed_sealed(
    envelope: Envelope, key: Key, clock: Clock
) -> None:
    before = envelope.seal(SEED)
    key.away = True
    for seconds in (1.0, OUTAGE_SECONDS - 2):
        clock.now = 1_000.0 + seconds
        look(envelope)
        made = envelope.seal(b"x" * 32)
        assert made.key_id == before.key_id == envelope.status()[1]
        assert envelope.status()[0] == "ok"
        assert len(made.ciphertext) < MOST_BYTES
        assert envelope.open(made.ciphertext) == b"x" * 32
        assert envelope.open(before.ciphertext) == SEED
    clock.now = 1_000.0 + OUTAGE_SECONDS
    look(envelope)
    for attempt in (lambda: envelope.seal(SEED), lambda: envelope.open(made.ciphertext)):
        with pytest.raises(Unreachable):
            attempt()
    assert envelope.status()[0] == "no answer: none in time"


def test_what_was_sealed_meanwhile_is_opened_by_the_server_alone_once_it_is_back(
    envelope: Envelope, key: Key
) -> None:
    key.away = True
    look(envelope)
    made = envelope.seal(SEED)
    key.away = False
    envelope.follow()
    key.asked.clear()
    assert envelope.open(made.ciphertext) == SEED
    assert key.asked == ["decrypt"]
    assert envelope.seal(SEED).ciphertext.startswith(b"vault:v1:")
    other = Envelope(key)  # another process, or this one after a start
    assert other.open(made.ciphertext) == SEED
    key.refuses = True
    with pytest.raises(RequestFailed, match="403"):
        other.open(made.ciphertext)


def test_while_the_server_is_away_only_the_look_at_the_key_waits_for_it(envelope: Envelope, key: Key) -> None:
    known = envelope.seal(SEED).ciphertext
    key.away = True
    assert envelope.open(known) == SEED
    key.asked.clear()
    assert envelope.open(known) == SEED
    assert envelope.seal(SEED).ciphertext.startswith(PREFIX)
    assert key.asked == []


@pytest.mark.parametrize("how", ["read", "encrypt", "decrypt"])
def test_after_a_refusal_an_outage_gives_nothing_back(envelope: Envelope, key: Key, how: str) -> None:
    known = envelope.seal(SEED).ciphertext
    asking: dict[str, Callable[[], object]] = {
        "read": envelope.follow,
        "encrypt": lambda: envelope.seal(SEED),
        "decrypt": lambda: envelope.open(known),
    }
    key.refuses = True
    with pytest.raises(RequestFailed, match="403"):
        asking[how]()
    key.away = True
    for attempt in (lambda: envelope.open(known), lambda: envelope.seal(SEED)):
        with pytest.raises(Unreachable):
            attempt()


def test_one_ciphertext_that_is_refused_is_let_go_of_alone(envelope: Envelope, key: Key) -> None:
    known, bad = envelope.seal(SEED).ciphertext, envelope.seal(b"x" * 32).ciphertext
    key.rejected = bad
    with pytest.raises(Rejected):
        envelope.open(bad)
    assert envelope.status()[0] == "ok"
    key.away = True
    look(envelope)
    assert envelope.open(known) == SEED
    assert envelope.open(envelope.seal(SEED).ciphertext) == SEED
    with pytest.raises(Unreachable):
        envelope.open(bad)


@pytest.mark.parametrize("noticed", ["by a look at the key", "by a refusal"])
def test_what_the_key_does_not_open_any_more_is_let_go_of(envelope: Envelope, key: Key, noticed: str) -> None:
    first, other = envelope.seal(SEED).ciphertext, envelope.seal(b"x" * 32).ciphertext
    key.away = True
    look(envelope)
    by_spare = envelope.seal(SEED).ciphertext
    key.away, key.latest = False, 2
    envelope.follow()
    second = envelope.seal(SEED).ciphertext
    key.oldest = 2
    if noticed == "by a refusal":
        with pytest.raises(Rejected):
            envelope.open(other)
    else:
        envelope.follow()
    key.away = True
    look(envelope)
    assert envelope.open(second) == SEED
    for each in (first, other, by_spare):
        with pytest.raises(Unreachable):
            envelope.open(each)


def test_a_spare_of_a_version_that_opens_nothing_any_more_seals_nothing(envelope: Envelope, key: Key) -> None:
    """So it is where the answer to the request for a new one is lost."""
    key.latest = key.oldest = 2
    key.lost = {"encrypt"}
    with pytest.raises(Unreachable):
        envelope.follow()
    with pytest.raises(Unreachable):
        envelope.seal(SEED)


def test_a_ciphertext_of_a_key_that_is_gone_has_everything_let_go_of(envelope: Envelope, key: Key) -> None:
    known, bad = envelope.seal(SEED).ciphertext, envelope.seal(b"x" * 32).ciphertext
    key.rejected, key.lost = bad, {"gone"}
    with pytest.raises(Rejected):
        envelope.open(bad)
    key.away = True
    for attempt in (lambda: envelope.open(known), lambda: envelope.seal(SEED)):
        with pytest.raises(Unreachable):
            attempt()


def test_a_token_that_is_away_gives_and_ends_nothing(envelope: Envelope, key: Key) -> None:
    """The server has answered, and refused the old one: what is kept is neither given nor let go of."""
    known = envelope.seal(SEED).ciphertext
    key.token_is_away = True
    for attempt in (lambda: envelope.open(known), lambda: envelope.seal(SEED), envelope.follow):
        with pytest.raises(NoToken):
            attempt()
    assert envelope.status()[0] == "there is no token"
    key.token_is_away, key.away = False, True
    assert envelope.open(known) == SEED


def test_each_version_of_the_key_has_a_spare_of_its_own(envelope: Envelope, key: Key) -> None:
    key.latest = 2
    envelope.follow()
    key.away = True
    look(envelope)
    second = envelope.seal(SEED)
    assert second.ciphertext.startswith(PREFIX + b"vault:v2:")
    assert second.key_id == envelope.status()[1]
    key.away, key.made = False, 1_800_000_000  # made anew by the same name
    envelope.follow()
    key.away = True
    look(envelope)
    assert envelope.seal(SEED).key_id == envelope.status()[1] != second.key_id


@pytest.mark.parametrize("change", ["text", "key", "nothing", "no base64"])
def test_what_was_changed_is_not_opened(envelope: Envelope, key: Key, change: str) -> None:
    key.away = True
    look(envelope)
    made, other = envelope.seal(SEED).ciphertext, base64.b64encode(os.urandom(32))[::-1]
    key.away = False
    changed = {
        "text": made[:-8] + b"AAAAAAA=",
        "key": PREFIX + b"vault:v1:" + other + b":" + made.rpartition(b":")[2],
        "nothing": PREFIX,
        "no base64": made + b"\xff",
    }[change]
    with pytest.raises(RequestFailed):
        envelope.open(changed)


def test_a_spare_shows_nothing_of_itself(envelope: Envelope) -> None:
    assert repr(envelope._spare) == "<Spare>"
