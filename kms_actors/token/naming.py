"""Names: of the kinds of tokens, of their policies, and what tokens are called."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import Final

#: Seconds: what Go's durations hold.
MAX_SECONDS: Final = (1 << 63) // 10**9
MAX_USES: Final = 1 << 31

ROOT: Final = "root"
DEFAULT: Final = "default"
#: Policies that nobody can ask for.
NOT_ASSIGNABLE: Final = ("response-wrapping", "control-group")

_OTHERS: Final = re.compile(r"[^a-zA-Z0-9-]")
MAX_DISPLAY_NAME: Final = 1024


class TokenType(enum.StrEnum):
    """What a role says of the kind of its tokens: which they are, or which where a request does not say."""

    SERVICE = "service"
    BATCH = "batch"
    DEFAULT_SERVICE = "default-service"
    DEFAULT_BATCH = "default-batch"


def policy_names(names: Iterable[str], *, default: bool) -> tuple[str, ...]:
    """Return names of policies as tokens have them: in lower case and order, each once; root stands alone.

    `default`: with that of almost every token.
    """
    found = {name.strip().lower() for name in names} - {""}
    if ROOT in found:
        return (ROOT,)
    return tuple(sorted(found | {DEFAULT} if default else found))


def display_name(text: str) -> str:
    """Return what a token is called whose maker calls it `text`."""
    return f"token-{_OTHERS.sub('-', text[:MAX_DISPLAY_NAME])}".removesuffix("-")
