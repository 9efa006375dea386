"""Values that a rule allows or denies, compared with those a request sent.

A text of a rule may begin or end with `*`, which then stands for anything; all else is compared whole, and a number
never equals a text. What is denied is compared more widely: a number or a boolean counts as its text too, since
endpoints take one for the other. Source: Vault's page "Policies", Parameter constraints; the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

#: Values by lower-cased names; an empty tuple stands for any value.
Parameters: TypeAlias = Mapping[str, tuple[Any, ...]]

_NUMBERS: Final = (int, float, Decimal)


def merge(first: Parameters | None, second: Parameters | None) -> Parameters | None:
    """Return what two policies say together: any value wins over a list, lists are joined.

    None, or nothing named, restricts nothing, and does not lift what the other restricts.
    """
    if not first:
        return second or first
    if not second:
        return first
    merged = dict(first)
    for name, values in second.items():
        known = merged.get(name)
        if known is None:
            merged[name] = values
        elif not known or not values:
            merged[name] = ()
        else:
            merged[name] = known + tuple(value for value in values if not any(same(value, other) for other in known))
    return merged


def allowed(parameters: Parameters | None, sent: Mapping[str, Any]) -> bool:
    """Tell whether all that was sent is allowed; nothing named allows all, and the name `*` all other names."""
    if not parameters or (len(parameters) == 1 and "*" in parameters):
        return True
    others = "*" in parameters
    for name, value in sent.items():
        values = parameters.get(name.lower())
        if values is None:
            if not others:
                return False
        elif values and not any(matches(value, item) for item in values):
            return False
    return True


def denied(parameters: Parameters | None, sent: Mapping[str, Any]) -> bool:
    """Tell whether any of what was sent is denied; the name `*` denies whatever is sent."""
    if not parameters or not sent:
        return False
    if "*" in parameters:
        return True
    for name, value in sent.items():
        values = parameters.get(name.lower())
        if values is not None and (not values or any(_resembles(value, item) for item in values)):
            return True
    return False


def matches(sent: Any, item: Any) -> bool:
    """Tell whether a value that was sent is the rule's, where `*` at either end of a text stands for anything."""
    if not (isinstance(sent, str) and isinstance(item, str)):
        return same(sent, item)
    if len(item) < 2:
        return sent == item
    head, tail = item.startswith("*"), item.endswith("*")
    if head and tail:
        return item[1:-1] in sent
    if head:
        return sent.endswith(item[1:])
    if tail:
        return sent.startswith(item[:-1])
    return sent == item


def same(first: Any, second: Any) -> bool:
    """Tell whether two JSON values are equal: `true` is not 1, and 1 is 1.0."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, _NUMBERS) and isinstance(second, _NUMBERS):
        return first == second
    if isinstance(first, str) and isinstance(second, str):
        return first == second
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(same(value, second[key]) for key, value in first.items())
    return first is None and second is None


def _resembles(sent: Any, item: Any) -> bool:
    """Tell whether an endpoint could take what was sent for the rule's value."""
    if matches(sent, item):
        return True
    return _plain(sent) and _plain(item) and matches(_text(sent), _text(item))


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float | Decimal)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
