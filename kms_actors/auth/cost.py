"""How much work the blocks that holders add may cause.

The library looks at its time limit between steps only, and one step can be anything: a check over the
product of many facts, closures within closures, a regular expression of a million states, a text that doubles. Any
holder of any token could so stop a node. Hence a bound from the text alone, before it is run: work is counted as
combinations of facts times operations, each about a microsecond, and every operation weighs the bytes it may go
through. The first two blocks are the issuer's, and are trusted.
Source: schema.proto of the biscuit specification.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from kms_actors.auth import expressions, symbols, wire
from kms_actors.auth.expressions import Bounds, messages
from kms_actors.auth.symbols import Symbols
from kms_actors.auth.wire import Field, TokenRefused

BUDGET: Final = 20_000
#: Bytes of the longest value that a request gives to checks; a longer one is refused without running them.
MAX_FACT: Final = 5120
_ISSUERS: Final = 2  # blocks
_DERIVED: Final = 1000  # facts that rules of the issuer may give; the library's own limit of all facts
_FACTS_AT_A_TIME: Final = 20  # facts that are looked through, and not taken, in a microsecond


def require_cheap(token: wire.Token, *, issuers: int = _ISSUERS) -> None:
    """Refuse rules in holders' blocks, and checks that could cost more than the budget.

    The first `issuers` blocks are not the holders'.
    """
    if len(token.blocks) == issuers:
        return
    contents = [wire.read(block.payload) for block in token.blocks]
    tables = symbols.tables(token.blocks)
    facts = _facts(contents, tables)
    bounds = Bounds(
        longest=max(MAX_FACT, *(len(text.encode()) for table in tables for text in table.texts), 0),
        fact=max((len(fact) for fields in contents for fact in messages(fields, 4)), default=0),
        elements=sum(len(block.payload) for block in token.blocks) // expressions.LEAST_ELEMENT,
        budget=BUDGET,
    )
    work = 0
    for fields, table in list(zip(contents, tables, strict=True))[issuers:]:
        if messages(fields, 5):
            raise TokenRefused("a holder's block has a rule; it may only have checks and facts")
        for check in messages(fields, 6):
            for query in messages(wire.read(check), 1):
                work += _query(wire.read(query), _Known(facts, facts.total(), table), bounds)
                if work > BUDGET:
                    raise TokenRefused("the checks of holders' blocks are too costly")


class _Known(NamedTuple):
    facts: Counter[str]  # of the whole token, by name
    total: int
    table: Symbols


def _facts(contents: list[list[Field]], tables: list[Symbols]) -> Counter[str]:
    """Count the facts of each name, and those that rules may add."""
    facts: Counter[str] = Counter()
    for fields, table in zip(contents, tables, strict=True):
        for fact in messages(fields, 4):
            facts[_name(fact, table)] += 1
        for rule in messages(fields, 5):
            facts[_name(rule, table)] += _DERIVED
    return facts


def _name(fact: bytes, table: Symbols) -> str:
    """Return the name of a fact, or of what a rule gives."""
    head = _first(wire.read(fact))
    if not isinstance(head, bytes):
        raise TokenRefused("token is not a biscuit")
    return table[_first(wire.read(head))]


def _query(query: list[Field], known: _Known, bounds: Bounds) -> int:
    """Each predicate meets the facts of its name in the token and the one that the server supplies."""
    combinations, work = 1, 0
    for predicate in messages(query, 2):
        work += combinations * (known.total // _FACTS_AT_A_TIME)
        combinations *= 1 + known.facts[known.table[_first(wire.read(predicate))]]
        if combinations > BUDGET:
            break
    operations = sum(expressions.work(wire.read(one), bounds, known.table) for one in messages(query, 3))
    return work + combinations * (1 + operations)


def _first(fields: list[Field]) -> int | bytes | None:
    values = [value for number, value in fields if number == 1]
    if len(values) > 1:
        raise TokenRefused("token repeats a field")
    return values[0] if values else None
