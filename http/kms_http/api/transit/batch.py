"""Batches: the shape of `batch_input`, the fields of an item, and the status of a batch that fails in part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, overload

from kms_actors.errors import InvalidRequest
from kms_actors.transit import go_base64
from kms_actors.transit.items import Small
from kms_http.fields import (
    to_str,
    type_name,
)
from kms_http.routing import (
    Call,
    Reply,
)

T = TypeVar("T")
Row = Mapping[str, Any]

#: Types of the fields of an item; no others are looked at.
_FIELDS: Final[Mapping[str, tuple[type, str]]] = {
    "plaintext": (str, "string"),
    "ciphertext": (str, "string"),
    "input": (str, "string"),
    "signature": (str, "string"),
    "hmac": (str, "string"),
    "cmac": (str, "string"),
    "mac_length": (int, "int"),
    "padding_scheme": (str, "string"),
    "decrypt_padding_scheme": (str, "string"),
    "encrypt_padding_scheme": (str, "string"),
    "context": (str, "string"),
    "associated_data": (str, "string"),
    "nonce": (str, "string"),
    "reference": (str, "string"),
    "key_version": (int, "int"),
}
#: Items, and bytes of a request, up to which they are decoded at once.
EAGER_ITEMS: Final = 250
EAGER_BYTES: Final = 128 * 1024
#: Bytes of a request all of whose items are small together: as many as are worked on within a turn.
SMALL_BYTES: Final = 64 * 1024

#: A caller may ask for these statuses: answers that can carry the results.
_STATUSES: Final = frozenset(range(200, 600)) - {204, 205, 304}
_BAD_STATUS: Final = "invalid HTTP response code override from partial_failure_response_code, reverting to 400"


def rows(batch: Any, required: tuple[str, str] | None = None) -> list[Row]:
    """Return the items of `batch_input`; `required` is a field each must have, and the text if it is missing.

    A null becomes the empty value of its field, unless the field is required. Where none is, numbers become texts
    in the place of those: the operations of the API differ in this.

    Raises:
        InvalidRequest: of another shape; the text lists all that is wrong.

    """
    if not isinstance(batch, list):
        raise InvalidRequest(
            f"failed to parse batch input: source data must be an array or slice, got {type_name(batch)}"
        )
    if not batch:
        raise InvalidRequest("missing batch input to process")
    wrong: list[str] = []
    for index, row in enumerate(batch):
        if row.__class__ is not dict:
            wrong.append(f"[{index}] expected a map, got '{_kind(row)}'")
            continue
        for name, value in row.items():
            field = _FIELDS.get(name)
            if field is None or value.__class__ is field[0]:
                continue
            if value is None and (required is None or name != required[0]):
                row[name] = field[0]()
            elif required is None and field[0] is str and value.__class__ in (int, float):
                row[name] = to_str(value)
            else:
                wrong.append(_wrong_type(index, name, field[1], value))
        if required is not None and required[0] not in row:
            wrong.append(f"'[{index}].{required[0]}' {required[1]}")
    if wrong:
        wrong.sort()
        listed = "\n".join(f"* {text}" for text in wrong)
        raise InvalidRequest(f"failed to parse batch input: {len(wrong)} error(s) decoding:\n\n{listed}")
    return batch


class Items(Sequence[T | InvalidRequest]):
    """The items of a batch, each made of its row when it is asked for; see `each`.

    Whoever works on a large batch in slices so has its items made, and decoded, in slices, too.
    """

    __slots__ = ("_item", "_rows")

    def __init__(self, batch: Sequence[Row], item: Callable[[Row, int], T]) -> None:
        self._rows = batch
        self._item = item

    def __len__(self) -> int:
        return len(self._rows)

    def weigh(self, place: int) -> int:
        """Return about how many bytes an item is made of, without making it."""
        return sum(len(value) for value in self._rows[place].values() if value.__class__ is str)

    @overload
    def __getitem__(self, place: int) -> T | InvalidRequest: ...

    @overload
    def __getitem__(self, place: slice) -> list[T | InvalidRequest]: ...

    def __getitem__(self, place: int | slice) -> T | InvalidRequest | list[T | InvalidRequest]:
        if isinstance(place, slice):
            return [self._made(index) for index in range(*place.indices(len(self._rows)))]
        return self._made(place)

    def _made(self, index: int) -> T | InvalidRequest:
        try:
            return self._item(self._rows[index], index)
        except InvalidRequest as error:
            return InvalidRequest(*error.args)


def each(call: Call, batch: Sequence[Row], item: Callable[[Row, int], T]) -> Sequence[T | InvalidRequest]:
    """Make the item of each row; where that fails, what is wrong with it stands in its place."""
    items = Items(batch, item)
    if len(batch) > EAGER_ITEMS or call.size > EAGER_BYTES:
        return items
    return Small(items[:]) if 0 < call.size <= SMALL_BYTES else items[:]


class ShapeError(InvalidRequest):
    """A whole batch is of a shape that cannot be; stands where its first item would."""


def one(call: Call, item: Callable[[Row, int], T]) -> Sequence[T | InvalidRequest]:
    """As `each`, of a single request: whether its key exists is told before what is wrong with it."""
    if call.size > EAGER_BYTES:
        return Items((call.values,), item)
    try:
        made: T | InvalidRequest = item(call.values, 0)
    except InvalidRequest as error:
        made = InvalidRequest(*error.args)
    return Small((made,)) if 0 < call.size <= SMALL_BYTES else [made]


def late(call: Call, item: Callable[[Row, int], T], single: Callable[[Row, int], T]) -> Sequence[T | InvalidRequest]:
    """Return the items of an operation that looks at the key before the shape of its batch."""
    batch = call.values.get("batch_input")
    if batch is None:
        return one(call, single)
    try:
        return each(call, rows(batch), item)
    except InvalidRequest as error:
        return [ShapeError(*error.args)]


def all_or_none_with_context(batch: Sequence[Row]) -> bool:
    """Tell whether the items have a context; raises InvalidRequest if only some have."""
    first = bool(batch[0].get("context"))
    if any(bool(row.get("context")) is not first for row in batch):
        raise InvalidRequest("context should be set either in all the request blocks or in none")
    return first


def context(row: Row) -> bytes:
    """Return the decoded context; empty if there is none."""
    text = row.get("context")
    return go_base64.decode(text) if text else b""


def associated_data(row: Row, index: int = 0) -> bytes | None:
    """Return the decoded associated data, or None."""
    text = row.get("associated_data")
    if not text:
        return None
    try:
        return go_base64.decode(text)
    except InvalidRequest as error:
        raise InvalidRequest(
            f"unable to get associated_data/additional_data from factory[{index}]: {error}"
        ) from None


def decoded_input(row: Row) -> bytes:
    """Return the decoded `input`, which may be missing."""
    try:
        return go_base64.decode(row.get("input", ""))
    except InvalidRequest as error:
        raise InvalidRequest(f"unable to decode input as base64: {error}") from None


def single(results: Sequence[T | InvalidRequest]) -> T:
    """Return the one result of a single request; raises what is wrong with it."""
    result = results[0]
    if isinstance(result, InvalidRequest):
        raise result
    return result


def refuse_nonce(row: Row) -> None:
    """Raise InvalidRequest if a nonce is given: no key takes one from a caller."""
    if row.get("nonce"):
        raise InvalidRequest("nonce provided when not allowed")


def render(
    call: Call, results: Sequence[T | InvalidRequest], show: Callable[[T], dict[str, Any]], failed: dict[str, Any]
) -> tuple[dict[str, Any], int]:
    """Return the data of a batch, and how many items failed; `failed` is what a failed one shows beside its error."""
    if isinstance(results[0], ShapeError):
        raise results[0]
    failures = 0
    shown: list[dict[str, Any]] = []
    for row, result in zip(call.values["batch_input"], results, strict=True):
        if isinstance(result, InvalidRequest):
            failures += 1
            entry = {**failed, "error": str(result)}
        else:
            entry = show(result)
        entry["reference"] = row.get("reference", "") if isinstance(row, dict) else ""
        shown.append(entry)
    return {"batch_results": shown}, failures


def reply(call: Call, data: dict[str, Any], failures: int) -> Reply:
    """Return a batch's answer: 400 if items failed, or the status the caller asked for if some did not."""
    if not failures:
        return Reply(data=data)
    wanted = call.values.get("partial_failure_response_code")
    if wanted is None or failures == len(data["batch_results"]):
        return Reply(400, data)
    if wanted not in _STATUSES:
        return Reply(400, data, (_BAD_STATUS,))
    return Reply(wanted, data)


def _wrong_type(index: int, name: str, expected: str, value: Any) -> str:
    if expected == "int" and isinstance(value, float):
        return f"error decoding json.Number into [{index}].{name}: strconv.ParseInt: invalid syntax"
    return f"'[{index}].{name}' expected type '{expected}', got unconvertible type '{_kind(value)}'"


def _kind(value: Any) -> str:
    return "<nil>" if value is None else type_name(value)
