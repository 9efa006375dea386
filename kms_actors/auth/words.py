"""What a token is, in words: for people who look at one."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from typing import Final

from kms_actors.auth.principal import Right

#: The kinds of token, and what each may do.
KINDS: Final = {
    Right.OPERATOR: ("cluster operator", "initialises, unseals and seals nodes"),
    Right.ROOT: ("tenant operator", "all of one vault: its seal, its mounts, its data"),
    Right.DATA: ("tenant", "data of one vault"),
    Right.POLICY: ("tenant with policies", "what its policies allow in one vault"),
}

_LONGEST: Final = 400


def scope(right: Right, resource: str) -> str:
    """Return the kind of a token and what it is for: `tenant of vault_1`."""
    where = "cluster " if right is Right.OPERATOR else ""
    return f"{KINDS[right][0]} of {where}{resource}"


def summary(
    right: Right,
    resource: str,
    owner: str | None,
    end: float | None,
    checks: Iterable[str],
    *,
    policies: Sequence[str] = (),
) -> str:
    """Return all of it in one line, of at most 400 characters and printable."""
    parts = [scope(right, resource)]
    if owner is not None:
        parts.append(f"owner {owner}")
    if policies:
        parts.append(f"policies {' '.join(policies)}")
    parts.append("without end" if end is None else f"until {moment(end)}")
    parts += (f"only {narrowing(check)}" for check in checks)
    text = printable(", ".join(parts))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def narrowing(check: str) -> str:
    """Return what a check lets through: `path secret/data/app/* or …`; a check of another form as it is written."""
    match = re.fullmatch(r"check if (.+);", check)
    found = [_query(query) for query in match[1].split(" or ")] if match else [None]
    kinds = {kind for kind, _ in (one or ("", "") for one in found)}
    if None in found or len(kinds) != 1:
        return check.removesuffix(";")
    return f"{kinds.pop()} {' or '.join(text for _, text in filter(None, found))}"


def moment(second: float) -> str:
    """Return a moment as RFC 3339 has it, in whole seconds."""
    return datetime.datetime.fromtimestamp(second, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def printable(text: str) -> str:
    """Keep what a token says from steering a terminal."""
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)


def _as_it_is(text: str) -> str:
    return text


def _prefix(text: str) -> str:
    return f"{text}*"


def _pattern(expression: str) -> str:
    """Return the pattern that `attenuate` made this regular expression of."""
    text, star = (expression[:-1], "") if expression.endswith("$") else (expression, "*")
    return re.sub(r"\\(.)", r"\1", text.replace("[^/]+", "+")) + star


#: Checks as `kms-cli biscuit attenuate` writes them: what is narrowed, and the pattern that the text in it was.
_QUERIES: Final = (
    (re.compile(r'path\("([^"\n]*)"\)'), "path", _as_it_is),
    (re.compile(r'path\(\$p\), \$p\.starts_with\("([^"\n]*)"\)'), "path", _prefix),
    (re.compile(r'path\(\$p\), \$p\.matches\("\^([^"\n]*)"\)'), "path", _pattern),
    (re.compile(r'operation\("([^"\n]*)"\)'), "operation", _as_it_is),
    (re.compile(r'mount\("([^"\n]*)"\)'), "mount", _as_it_is),
    (re.compile(r'service\("([^"\n]*)"\)'), "service", _as_it_is),
)


def _query(query: str) -> tuple[str, str] | None:
    for form, kind, text_of in _QUERIES:
        match = form.fullmatch(query)
        if match is not None:
            return kind, text_of(match[1])
    return None
