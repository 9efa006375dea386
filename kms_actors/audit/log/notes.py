"""Signed notes (https://c2sp.org/signed-note) by Ed25519 keys, as `golang.org/x/mod/sumdb/note` has them."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kms_actors.audit.log import base64
from kms_actors.errors import InvalidRequest

_ED25519: Final = b"\x01"
_KEY_LENGTH: Final = 32
_ID_LENGTH: Final = 4
_SIGNATURE_LENGTH: Final = 64
_MARK: Final = "\u2014 "
#: A note of more is refused before it is looked at.
_LONGEST: Final = 1 << 20
_MOST_SIGNATURES: Final = 100


class Signature(NamedTuple):
    """A line below a note's text."""

    name: str
    key_id: bytes
    signature: bytes


class Note(NamedTuple):
    """A note, none of whose signatures is verified yet. `text` ends in a newline."""

    text: str
    signatures: tuple[Signature, ...]


def key_id(name: str, public_key: bytes) -> bytes:
    """Return the four bytes by which a signature names a key."""
    return sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:_ID_LENGTH]


def check_name(name: str) -> None:
    """Raise InvalidRequest where a key cannot have this name."""
    if not name or "+" in name or any(letter.isspace() or letter < " " for letter in name):
        raise InvalidRequest("a key's name is empty, or holds a space, a plus or a control character")


class Verifier:
    """A public key by its name."""

    __slots__ = ("_key", "key_id", "name", "public_key")

    def __init__(self, name: str, public_key: bytes) -> None:
        check_name(name)
        self.name = name
        self.public_key = public_key
        self.key_id = key_id(name, public_key)
        self._key = Ed25519PublicKey.from_public_bytes(public_key)

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """Return the verifier of `NAME+ID+KEY`; raises InvalidRequest."""
        name, _, rest = text.strip().partition("+")
        told, _, key = rest.partition("+")
        raw = base64.decode(key, _KEY_LENGTH + 1)
        if raw[:1] != _ED25519:
            raise InvalidRequest("a verifier key is not of Ed25519")
        found = cls(name, raw[1:])
        if found.key_id.hex() != told:
            raise InvalidRequest("a verifier key has not the id that it names")
        return found

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.encode(_ED25519 + self.public_key)}"

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether this key signed `message`."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def signed(self, note: Note) -> bool:
        """Tell whether this key signed a note, and no signature in its name is a wrong one."""
        own = [each for each in note.signatures if (each.name, each.key_id) == (self.name, self.key_id)]
        return bool(own) and all(self.verify(note.text.encode(), each.signature) for each in own)


class Signer:
    """A private key by its name. Shows nothing of the key."""

    __slots__ = ("_key", "verifier")

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.verifier: Final = Verifier(name, key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def note(self, text: str) -> str:
        """Return the signed note of a text, which ends in a newline."""
        signature = base64.encode(self.verifier.key_id + self.sign(text.encode()))
        return f"{text}\n{_MARK}{self.verifier.name} {signature}\n"

    def __repr__(self) -> str:
        return f"<Signer {self.verifier.name}>"


def parse(note: str) -> Note:
    """Return what a note says and who is said to have signed it; raises InvalidRequest for what is no note."""
    text, mark, signatures = note.rpartition("\n\n")
    text, lines = text + "\n", signatures.split("\n")
    wrong = len(note) > _LONGEST or not mark or any(letter < " " and letter != "\n" for letter in note)
    if wrong or text == "\n" or lines.pop() or not 0 < len(lines) <= _MOST_SIGNATURES:
        raise InvalidRequest("not a signed note")
    return Note(text, tuple(map(_signature, lines)))


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_MARK).partition(" ")
    if not line.startswith(_MARK):
        raise InvalidRequest("not a signed note")
    check_name(name)
    raw = base64.decode(encoded)
    if len(raw) <= _ID_LENGTH:
        raise InvalidRequest("not a signed note")
    return Signature(name, raw[:_ID_LENGTH], raw[_ID_LENGTH:])
