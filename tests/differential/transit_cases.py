"""Random lives of Transit keys: a type with options, then operations, with much that is wrong on purpose.

A case is made of a seed and its number alone, so that it can be made again.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

Body = dict[str, Any]

#: What a server made and is given back, by kind, oldest first.
Made = Mapping[str, list[str]]

SYMMETRIC: Final = ("aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305")
CURVES: Final = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521")
#: Types that both servers know, the costly ones rarely.
TYPES: Final = (*SYMMETRIC * 6, *("ed25519",) * 8, *CURVES * 4, *("rsa-2048",) * 4, "rsa-3072", *("hmac",) * 5, "zz")
HASHES: Final = ("sha1", "sha2-224", "sha2-256", "sha2-384", "sha2-512", "sha3-224", "sha3-256", "sha3-512")
STEPS: Final = 14
#: What is signed: few, so that much is verified that was signed before; some are as long as digests.
_MESSAGES: Final = tuple(base64.b64encode(b"m" * length).decode() for length in (5, 20, 28, 32, 48, 64))


class Step(NamedTuple):
    """One request; values that are `Returned` are each server's own."""

    method: str
    path: str
    body: Any = None


class Returned(NamedTuple):
    """Something a server made, changed or not."""

    kind: str
    which: int
    change: str

    def of(self, made: Made) -> str:
        mine = made.get(self.kind) or ["vault:v1:AAAA"]
        return CHANGES[self.change](mine[self.which % len(mine)])


def _tampered(text: str) -> str:
    head, _, body = text.rpartition(":")
    padded = body + "=" * (-len(body) % 4)
    raw = bytearray(base64.b64decode(padded, altchars=b"-_") if "-" in body or "_" in body else _plain(padded))
    raw[-1] ^= 1
    return f"{head}:{base64.b64encode(bytes(raw)).decode()}"


def _plain(text: str) -> bytes:
    return base64.b64decode(text)


def _version(number: str) -> Callable[[str], str]:
    return lambda text: f"vault:v{number}:{text.rpartition(':')[2]}"


CHANGES: Final[Mapping[str, Callable[[str], str]]] = {
    "as it is": lambda text: text,
    "no prefix": lambda text: text.removeprefix("vault:"),
    "version 0": _version("0"),
    "version 01": _version("01"),
    "version 2": _version("2"),
    "version 99": _version("99"),
    "version x": _version("x"),
    "negative version": _version("-1"),
    "no version": lambda text: "vault:v1",
    "not base64": lambda text: text[:12] + "!" + text[13:],
    "short": lambda text: text[: len("vault:v1:")] + "AAAA",
    "empty body": lambda text: text[: len("vault:v1:")],
    "tampered": _tampered,
    "empty": lambda _: "",
}


def resolved(value: Any, made: Made) -> Any:
    """Return a body with each server's own values in it."""
    if isinstance(value, Returned):
        return value.of(made)
    if isinstance(value, dict):
        return {name: resolved(inner, made) for name, inner in value.items()}
    if isinstance(value, list):
        return [resolved(inner, made) for inner in value]
    return value


class Case:
    """The steps of case `number` of `seed`."""

    def __init__(self, seed: str, number: int) -> None:
        self._random = random.Random(f"{seed}/{number}")
        self._name = f"k{number}"
        self._habit = self._signing_options()
        self._message = self._one(*_MESSAGES)

    def __iter__(self) -> Iterator[Step]:
        yield self._create()
        operations = list(_OPERATIONS)
        weights = [_OPERATIONS[operation] for operation in operations]
        for operation in self._random.choices(operations, weights, k=STEPS):
            yield operation(self)

    # What bodies are made of.

    def _one(self, *choices: Any) -> Any:
        return self._random.choice(choices)

    def _seldom(self, one_in: int) -> bool:
        return self._random.randrange(one_in) == 0

    def _data(self, size: int | None = None) -> str:
        length = self._random.randrange(40) if size is None else size
        return base64.b64encode(self._random.randbytes(length)).decode()

    def _base64(self) -> Any:
        return self._one("not base64", "aGk", "", "=", "aGk=\n", 7, None) if self._seldom(15) else self._data()

    def _number(self) -> Any:
        return self._one(0, 1, 2, -1, 99, "1", "x", 1.5, None) if self._seldom(5) else self._one(0, 1, 2)

    def _context(self) -> str:
        return "!" if self._seldom(15) else self._one("Y3R4LTE=", "Y3R4LTE=", "Y3R4LTI=")

    def _some(self, body: Body, **optional: tuple[int, Callable[[], Any]]) -> Body:
        """Add fields, each once in so many times."""
        for name, (one_in, make) in optional.items():
            if self._seldom(one_in):
                body[name] = make()
        return body

    def _returned(self, kind: str) -> Returned:
        change = self._one(*CHANGES) if self._seldom(3) else "as it is"
        return Returned(kind, self._random.randrange(8), change)

    def _key(self) -> str:
        return "nothing" if self._seldom(25) else self._name

    def _batch_or_single(self, path: str, item: Callable[[], Body], request: Body) -> Step:
        if not self._seldom(3):
            return Step("POST", path, request | item())
        items: Any = [self._item(item) for _ in range(self._random.randrange(1, 4))]
        if self._seldom(25):
            items = self._one([], "x", ["x"], None, {})
        body = request | {"batch_input": items}
        self._some(body, partial_failure_response_code=(3, lambda: self._one(207, 202, 400, 999, -1, "x")))
        return Step("POST", path, body)

    def _item(self, item: Callable[[], Body]) -> Body:
        return self._some(item(), reference=(3, lambda: 7 if self._seldom(30) else self._one("r1", "")))

    # The operations.

    def _create(self) -> Step:
        body: Body = {"type": self._one(*TYPES)}
        odd = self._seldom(10)
        if (odd or body["type"] in (*SYMMETRIC, "ed25519")) and self._seldom(2):
            body["derived"] = True
        if odd or (body.get("derived") and body["type"] in SYMMETRIC):
            self._some(body, convergent_encryption=(2, lambda: True))
        if body["type"] == "hmac":
            body["key_size"] = self._one(31, 513) if odd else self._one(32, 64, 512)
        self._some(
            body,
            exportable=(2, lambda: "x" if odd else True),
            allow_plaintext_backup=(3, lambda: True),
            auto_rotate_period=(8, lambda: self._one("59m", "x", -1) if odd else self._one("1h", 3600, 0, "24h")),
            key_size=(60, lambda: self._one(0, 32, -1, 16)),
            unknown=(20, lambda: 1),
        )
        return Step("POST", f"transit/keys/{self._name}", body)

    def _read(self) -> Step:
        query = self._one("", "", "?context=Y3R4LTE%3D", "?context=%21")
        return Step("GET", f"transit/keys/{self._key()}{query}")

    def _configure(self) -> Step:
        body = self._some(
            {},
            min_decryption_version=(2, self._number),
            min_encryption_version=(2, self._number),
            deletion_allowed=(4, lambda: self._one(True, False)),
            exportable=(4, lambda: self._one(True, False)),
            allow_plaintext_backup=(4, lambda: True),
            auto_rotate_period=(8, lambda: self._one("1h", "1m", 0)),
        )
        return Step("POST", f"transit/keys/{self._key()}/config", body)

    def _rotate(self) -> Step:
        return Step("POST", f"transit/keys/{self._key()}/rotate", {})

    def _trim(self) -> Step:
        body = self._some({}, min_available_version=(1, self._number))
        return Step("POST", f"transit/keys/{self._key()}/trim", body)

    def _soft_delete(self) -> Step:
        return Step("DELETE", f"transit/keys/{self._key()}/soft-delete")

    def _restore(self) -> Step:
        return Step("POST", f"transit/keys/{self._key()}/soft-delete-restore", {})

    def _delete(self) -> Step:
        return Step("DELETE", f"transit/keys/{self._key()}")

    def _encrypt(self) -> Step:
        def item() -> Body:
            size = self._one(190, 191, 318, 319) if self._seldom(12) else None
            plaintext = self._data(size) if size else self._base64()
            body: Body = {} if self._seldom(25) else {"plaintext": plaintext}
            return self._crypt_options(body, key_version=(5, self._number))

        return self._batch_or_single(f"transit/encrypt/{self._name}", item, {})

    def _decrypt(self) -> Step:
        def item() -> Body:
            body: Body = {} if self._seldom(25) else {"ciphertext": self._returned("ciphertext")}
            return self._crypt_options(body)

        return self._batch_or_single(f"transit/decrypt/{self._key()}", item, {})

    def _rewrap(self) -> Step:
        def item() -> Body:
            body: Body = {} if self._seldom(25) else {"ciphertext": self._returned("ciphertext")}
            return self._some(body, context=(2, self._context), key_version=(5, self._number))

        return self._batch_or_single(f"transit/rewrap/{self._key()}", item, {})

    def _crypt_options(self, body: Body, **more: tuple[int, Callable[[], Any]]) -> Body:
        associated = lambda: "!" if self._seldom(10) else self._one("YWQ=", "YWQ=", "")  # noqa: E731 - a row of the table
        return self._some(body, context=(2, self._context), associated_data=(6, associated), **more)

    def _data_key(self) -> Step:
        kind = self._one("plaintext", "wrapped", "plaintext", "wrapped", "x")
        body = self._crypt_options(
            {}, key_version=(4, self._number), bits=(3, lambda: self._one(128, 256, 512, 7, "128"))
        )
        return Step("POST", f"transit/datakey/{kind}/{self._key()}", body)

    def _hmac(self) -> Step:
        def item() -> Body:
            return {} if self._seldom(20) else {"input": self._input()}

        body = self._some({}, key_version=(4, self._number), algorithm=(6, self._hash))
        return self._batch_or_single(f"transit/hmac/{self._key()}{self._in_path()}", item, body)

    def _hash(self) -> str:
        return "zz" if self._seldom(12) else str(self._one(*HASHES))

    def _in_path(self) -> str:
        return f"/{self._hash()}" if self._seldom(6) else ""

    def _signing_options_again(self) -> Body:
        return self._signing_options() if self._seldom(3) else dict(self._habit)

    def _signing_options(self) -> Body:
        return self._some(
            {},
            hash_algorithm=(3, lambda: "none" if self._seldom(6) else self._hash()),
            prehashed=(5, lambda: True),
            signature_algorithm=(3, lambda: self._one("zz", "") if self._seldom(6) else self._one("pss", "pkcs1v15")),
            marshaling_algorithm=(3, lambda: "zz" if self._seldom(8) else self._one("asn1", "jws")),
            salt_length=(8, lambda: self._one("auto", "hash", "0", "20", "-1", "-5", "9999", "x", 32)),
        )

    def _sign(self) -> Step:
        def item() -> Body:
            body: Body = {} if self._seldom(20) else {"input": self._input()}
            return self._some(body, context=(2, self._context))

        body = self._some(self._signing_options_again(), key_version=(5, self._number))
        return self._batch_or_single(f"transit/sign/{self._key()}{self._in_path()}", item, body)

    def _input(self) -> Any:
        return self._message if not self._seldom(4) else self._one(self._base64(), *_MESSAGES)

    def _verify(self) -> Step:
        body = self._signing_options_again()
        kind = "jws" if body.get("marshaling_algorithm") == "jws" else "asn1"
        proof = self._one("signature", "signature", "hmac")

        def item() -> Body:
            mine: Body = {} if self._seldom(20) else {"input": self._input()}
            kind_made = f"signature {kind}" if proof == "signature" else "hmac"
            return self._some(
                mine,
                context=(2, self._context),
                **{proof: (1 if not self._seldom(15) else 9, lambda: self._returned(kind_made))},
            )

        return self._batch_or_single(f"transit/verify/{self._key()}{self._in_path()}", item, body)

    def _export(self) -> Step:
        kind = self._one("encryption-key", "signing-key", "hmac-key", "public-key", "zz")
        version = self._one("", "", "/1", "/2", "/latest", "/99", "/v1", "/x", "/-1", "/0")
        form = self._one("", "", "", "?format=raw", "?format=der", "?format=pem", "?format=zz")
        return Step("GET", f"transit/export/{kind}/{self._key()}{version}{form}")

    def _digest(self) -> Step:
        body = self._some(
            {"input": self._base64()},
            algorithm=(2, self._hash),
            format=(2, lambda: self._one("hex", "base64", "zz")),
        )
        return Step("POST", f"transit/hash{self._in_path()}", body)

    def _random_bytes(self) -> Step:
        body = self._some(
            {}, bytes=(2, lambda: self._one(16, "16", 0, -1, 131073)), format=(3, lambda: self._one("hex", "zz"))
        )
        return Step("POST", f"transit/random{self._one('', '', '/16', '/zz', '/platform', '/platform/8')}", body)

    def _back_up(self) -> Step:
        return Step("GET", f"transit/backup/{self._key()}")


_OPERATIONS: Final[Mapping[Callable[[Case], Step], int]] = {
    Case._encrypt: 16,
    Case._decrypt: 12,
    Case._rewrap: 6,
    Case._sign: 12,
    Case._verify: 12,
    Case._hmac: 7,
    Case._data_key: 5,
    Case._rotate: 6,
    Case._configure: 5,
    Case._export: 6,
    Case._read: 3,
    Case._trim: 3,
    Case._digest: 2,
    Case._random_bytes: 2,
    Case._back_up: 2,
    Case._create: 1,
    Case._soft_delete: 1,
    Case._restore: 1,
    Case._delete: 1,
}
