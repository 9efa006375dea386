"""Fields that this server does not honour: asked for, they are refused in a sentence, never dropped in silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kms_actors.errors import InvalidRequest
from kms_http.fields import Converter, Fields

#: What asks for nothing.
_NOTHING: tuple[Any, ...] = (None, "", "false", "0", "0s", False, 0, [], {})


class RefusingFields(Fields):
    """Declared fields, and others whose every value but an empty one is refused for a reason."""

    __slots__ = ("_refused",)

    def __init__(
        self, converters: Mapping[str, Converter], refused: Mapping[str, str], *, existence_checked: bool = False
    ) -> None:
        super().__init__(existence_checked=existence_checked, **converters)
        self._refused = refused

    def parse(self, sent: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        for name, reason in self._refused.items():
            if sent.get(name) not in _NOTHING:
                raise InvalidRequest(f"{name}: {reason}")
        values, unknown = super().parse(sent)
        return values, [name for name in unknown if name not in self._refused]
