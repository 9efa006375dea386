"""Password policies: how long, and of which characters at least how many.

Passwords are drawn until one has what its policy asks for, so each that fits is as likely as any other. Where few
strings fit, that would take long: after some draws, the characters that are asked for are drawn for themselves, the
others from all, and all are shuffled. Source: Vault's page "Password Policies"; bounds are the reference's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.policy import hcl
from kms_actors.policy.steps import Steps, drained
from kms_actors.policy.tree import Literal, Member, Node, ObjectNode, Source

Random = Callable[[int], bytes]

SHORTEST: Final = 4
LONGEST: Final = 100
MAX_CHARACTERS: Final = 256
MAX_RULES: Final = 64
_DRAWS: Final = 64
#: Bytes of a number that an index is made of: so many that the bias of the division is no larger than 2^-100.
_INDEX_BYTES: Final = 16


class CharsetRule(msgspec.Struct, frozen=True):
    """At least `least` characters are of `charset`."""

    charset: str
    least: int = 0


class PasswordPolicy(msgspec.Struct, frozen=True):
    """What passwords are like; `characters` are all that they are made of, in order."""

    length: int
    rules: tuple[CharsetRule, ...]
    characters: str


def parse(text: str) -> PasswordPolicy:
    """Return the policy of a text in HCL or JSON; raises InvalidRequest."""
    return drained(reading(text))


def reading(text: str) -> Steps[PasswordPolicy]:
    """Do as `parse`, a rule a step."""
    members, source = hcl.read(text, "password policy")
    length: int | None = None
    rules: list[CharsetRule] = []
    for member in members:
        if member.name == "length" and len(member.keys) == 1:
            length = _whole(member.value, source)
        elif member.name == "rule":
            rules.append(_rule(member, source))
            if len(rules) > MAX_RULES:
                raise source.error(member.at, f"more than {MAX_RULES} rules")
        else:
            raise source.error(member.at, "length, and rules of characters, are all there is")
        yield
    return _checked(length, rules)


def generate(policy: PasswordPolicy, random: Random) -> str:
    """Return a password; `random` gives as many random bytes as it is asked for."""
    return drained(generating(policy, random))


def generating(policy: PasswordPolicy, random: Random) -> Steps[str]:
    """Do as `generate`, a draw a step."""
    for _ in range(_DRAWS):
        drawn = [_drawn(policy.characters, random) for _ in range(policy.length)]
        if all(_passes(rule, drawn) for rule in policy.rules):
            return "".join(drawn)
        yield
    drawn = [_drawn(rule.charset, random) for rule in policy.rules for _ in range(rule.least)]
    drawn += [_drawn(policy.characters, random) for _ in range(policy.length - len(drawn))]
    for last in range(len(drawn) - 1, 0, -1):  # Fisher and Yates
        place = _below(last + 1, random)
        drawn[last], drawn[place] = drawn[place], drawn[last]
    return "".join(drawn)


def _rule(member: Member, source: Source) -> CharsetRule:
    if [key.text for key in member.keys[1:]] != ["charset"] or not isinstance(member.value, ObjectNode):
        raise source.error(member.at, 'a rule is of characters: rule "charset" { … }')
    charset, least = "", 0
    for inner in member.value.members:
        if inner.name == "charset":
            charset = _charset(inner.value, source)
        elif inner.name == "min-chars":
            least = _whole(inner.value, source)
        else:
            raise source.error(inner.at, "charset and min-chars are all there is")
    if not charset:
        raise source.error(member.at, "charset is missing or empty")
    return CharsetRule(charset, max(0, least))


def _charset(node: Node, source: Source) -> str:
    value: Any = node.value if isinstance(node, Literal) else None
    if not isinstance(value, str):
        raise source.error(node.at, "a text is expected")
    if not value.isprintable():
        raise source.error(node.at, "non-printable character in charset")
    return "".join(sorted(set(value)))


def _whole(node: Node, source: Source) -> int:
    value: Any = node.value if isinstance(node, Literal) else None
    if not isinstance(value, int) or isinstance(value, bool):
        raise source.error(node.at, "a whole number is expected")
    return value


def _checked(length: int | None, rules: list[CharsetRule]) -> PasswordPolicy:
    characters = "".join(sorted({character for rule in rules for character in rule.charset}))
    least = sum(rule.least for rule in rules)
    if length is None or not SHORTEST <= length <= LONGEST:
        raise InvalidRequest(f"passwords must be between {SHORTEST} and {LONGEST} characters")
    if not characters:
        raise InvalidRequest("invalid password policy: no charset specified")
    if len(characters) > MAX_CHARACTERS:
        raise InvalidRequest(f"invalid password policy: more than {MAX_CHARACTERS} characters in all charsets")
    if least > length:
        text = f"specified rules require at least {least} characters but {length} is specified"
        raise InvalidRequest(f"invalid password policy: {text}")
    return PasswordPolicy(length, tuple(rules), characters)


def _passes(rule: CharsetRule, drawn: list[str]) -> bool:
    return sum(character in rule.charset for character in drawn) >= rule.least


def _drawn(characters: str, random: Random) -> str:
    return characters[_below(len(characters), random)]


def _below(bound: int, random: Random) -> int:
    """Return a random number below a small bound."""
    return int.from_bytes(random(_INDEX_BYTES), "big") * bound >> (8 * _INDEX_BYTES)
