"""How many transactions of a vault there were that may change something."""

from __future__ import annotations

from typing import Any

import pytest

from kms_actors.actors.tenant.store import TenantStore


def counted_changes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with each of them."""
    seen: list[int] = []
    real = TenantStore.change

    async def counted(self: TenantStore, *arguments: Any, **named: Any) -> Any:
        seen.append(1)
        return await real(self, *arguments, **named)

    monkeypatch.setattr(TenantStore, "change", counted)
    return seen
