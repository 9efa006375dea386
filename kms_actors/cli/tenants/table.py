"""Tenants as people read them: a line each, its numbers short."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

#: Titles, and what is shown below each.
_COLUMNS: Final = (
    "VAULT",
    "STATE",
    "SEAL",
    "SECRETS",
    "SECRET BYTES",
    "KEYS",
    "MOUNTS",
    "TOKENS",
    "POLICIES",
    "RECORDS",
    "BYTES",
    "LAST USE",
)
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024


def lines(tenants: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield a table, its columns as wide as they must be."""
    rows = [_COLUMNS, *(_row(tenant) for tenant in tenants)]
    widths = [max(len(row[number]) for row in rows) for number in range(len(_COLUMNS))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def details(tenant: dict[str, Any]) -> Iterator[str]:
    """Yield all that is told of one tenant."""
    counts, limits, own = tenant["counts"], tenant["limits"], tenant["own_limits"]
    yield f"Vault: {tenant['vault_id']}"
    yield f"State: {tenant['state']}"
    yield f"Seal: {_seal(tenant)}"
    yield f"Created: {tenant['created_time'] or '-'}"
    yield f"Last use: {tenant['last_used'] or '-'}"
    for kind, count in counts.items():
        bound = limits[kind] or "no bound"
        yield f"{kind.capitalize()}: {count} of {bound}{' (its own)' if kind in own else ''}"
    if measured := tenant["measured"]:
        yield f"Measured: {measured['records']} records, {measured['bytes']} bytes, {measured['time']}"
    if rate := tenant["rate_limit"]:
        shared = "all addresses together" if rate["group_by"] == "none" else "each address"
        blocked = f", then {rate['block_interval']} s nothing" if rate["block_interval"] else ""
        yield f"Rate limit: {rate['rate']} in {rate['interval']} s, {shared}{blocked}"
    if deletion := tenant["deletion"]:
        yield f"Deletion: {'begun' if deletion['begun'] else 'due'} {deletion['due_time']}"


def _row(tenant: dict[str, Any]) -> tuple[str, ...]:
    counts, measured = tenant["counts"], tenant["measured"]
    return (
        tenant["vault_id"],
        tenant["state"],
        _seal(tenant),
        str(counts["secrets"]),
        short(counts["bytes"]),
        str(counts["keys"]),
        str(counts["mounts"]),
        str(counts["tokens"]),
        str(counts["policies"]),
        str(measured["records"]) if measured else "-",
        short(measured["bytes"]) if measured else "-",
        tenant["last_used"] or "-",
    )


def _seal(tenant: dict[str, Any]) -> str:
    seal = tenant["seal"]
    return f"{seal['t']} of {seal['n']}" if seal["n"] else "-"


def short(count: int) -> str:
    """Return a number of bytes in the largest unit that leaves a whole part."""
    value, unit = float(count), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value /= _STEP
        unit += 1
    return f"{count} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"
