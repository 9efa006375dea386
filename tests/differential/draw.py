"""What random requests are drawn from: names, numbers, base64, bodies with fields that are there or not."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.differential.steps import CHANGES, CHANGES_OF_BLOBS, Returned, Step

Body = dict[str, Any]

#: Values that are wrong for most fields.
ODD: Final[tuple[Any, ...]] = (
    None,
    True,
    5,
    -1,
    1.5,
    1e3,
    2**63,
    10**25,
    "x",
    "",
    " 1",
    "1e3",
    "true",
    "aGk",
    [],
    ["x"],
    {},
    {"x": 1},
)
#: Fields of Transit's requests, so that one may come where it does not belong.
FIELDS: Final = (
    *("plaintext", "ciphertext", "context", "associated_data", "key_version", "type", "convergent_encryption"),
    *("batch_input", "partial_failure_response_code", "bits", "input", "algorithm", "hash_algorithm", "prehashed"),
    *("signature_algorithm", "marshaling_algorithm", "salt_length", "signature", "hmac", "derived", "exportable"),
    *("allow_plaintext_backup", "auto_rotate_period", "key_size", "min_decryption_version", "bytes", "format"),
    *("min_encryption_version", "min_available_version", "deletion_allowed", "hash_function", "allow_rotation"),
    *("version", "csr", "certificate_chain", "backup", "force", "name", "disable_upsert", "peer_public_key"),
)


class Draw:
    """Draws the parts of case `number` of `seed`; its keys' names begin with `name`."""

    def __init__(self, seed: str, number: int) -> None:
        self._random = random.Random(f"{seed}/{number}")
        self.name = f"k{number:07}"

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

    def _blob(self, kind: str) -> Returned:
        """Return a value that a server made and that has no prefix."""
        change = self._one(*CHANGES_OF_BLOBS) if self._seldom(6) else "as it is"
        return Returned(kind, self._random.randrange(8), change)

    def _key(self) -> str:
        """Return a key's name: of one that is there, of another of this case, or of none."""
        if self._seldom(15):
            return f"{self.name}n"
        return self.name + self._one("b", "w", "d") if self._seldom(10) else self.name

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

    def _made_odd(self, step: Step) -> Step:
        """Return the request with one field more, or one that is wrong."""
        if not isinstance(step.body, dict):
            return step
        names: Sequence[str] = tuple(step.body) if step.body and self._seldom(2) else FIELDS
        return step._replace(body=step.body | {self._one(*names): self._one(*ODD)})
