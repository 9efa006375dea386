"""Random lives of Transit keys: a type with options, then operations, with much that is wrong on purpose.

A case is made of a seed and its number alone, so that it can be made again.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tests.differential.draw import Body
from tests.differential.steps import Step
from tests.differential.transit_keys import TYPES, KeySteps

HASHES: Final = (
    "sha1",
    *(f"{family}-{bits}" for family in ("sha2", "sha3") for bits in (224, 256, 384, 512)),
)
STEPS: Final = 16
#: What is signed: few, so that much is verified that was signed before; some are as long as digests.
_MESSAGES: Final = tuple(base64.b64encode(b"m" * length).decode() for length in (5, 20, 28, 32, 48, 64))


class Case(KeySteps):
    """The steps of case `number` of `seed`."""

    def __init__(self, seed: str, number: int) -> None:
        super().__init__(seed, number)
        self._habit = self._signing_options()
        self._message = self._one(*_MESSAGES)

    def __iter__(self) -> Iterator[Step]:
        yield self._import() if self._seldom(5) else self._create()
        operations = list(_OPERATIONS)
        weights = [_OPERATIONS[operation] for operation in operations]
        for operation in self._random.choices(operations, weights, k=STEPS):
            step = operation(self)
            yield self._made_odd(step) if self._seldom(10) else step

    def _encrypt(self) -> Step:
        def item() -> Body:
            size = self._one(190, 191, 318, 319) if self._seldom(12) else None
            plaintext = self._data(size) if size else self._base64()
            body: Body = {} if self._seldom(25) else {"plaintext": plaintext}
            return self._crypt_options(body, key_version=(5, self._number))

        request = self._some(
            {},
            type=(20, lambda: self._one(*TYPES)),
            convergent_encryption=(20, lambda: True),
        )
        return self._batch_or_single(f"transit/encrypt/{self._key()}", item, request)

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


_OPERATIONS: Final[Mapping[Callable[[Case], Step], int]] = {
    Case._encrypt: 16,
    Case._decrypt: 12,
    Case._rewrap: 6,
    Case._sign: 12,
    Case._verify: 12,
    Case._hmac: 7,
    Case._data_key: 5,
    Case._rotate: 6,
    Case._configure: 6,
    Case._export: 6,
    Case._read: 3,
    Case._list: 1,
    Case._trim: 3,
    Case._digest: 2,
    Case._random_bytes: 2,
    Case._back_up: 3,
    Case._restore: 3,
    Case._create: 1,
    Case._import_again: 4,
    Case._import_version: 4,
    Case._import_wrapping_key: 2,
    Case._export_wrapped: 3,
    Case._derive: 3,
    Case._request_certificate: 3,
    Case._certify: 3,
    Case._settings: 1,
    Case._soft_delete: 1,
    Case._undelete: 1,
    Case._delete: 1,
}
