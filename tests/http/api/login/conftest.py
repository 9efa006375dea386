"""A server whose vault has mounts of logins, with the routes that are really theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from kms_actors.login.messages import LoggedIn
from kms_actors.mounts import LOGIN_TYPES, Mount, MountTable
from kms_actors.token.spec import Issued, TokenSpec
from kms_http.api.routes import ENGINES

if TYPE_CHECKING:
    from tests.http.conftest import Service

GIVEN = LoggedIn(
    Issued(
        "hvs.token",
        "accessor",
        TokenSpec(policies=("a", "default"), display_name="x", path="p", metadata={"m": "n"}, ttl=60, entity_id="e"),
        1.0,
        61.0,
        ("a warning",),
        ("of-entity",),
    ),
    "e",
)
AUTH = {
    "client_token": "hvs.token",
    "accessor": "accessor",
    "policies": ["a", "default", "of-entity"],
    "token_policies": ["a", "default"],
    "identity_policies": ["of-entity"],
    "metadata": {"m": "n"},
    "lease_duration": 60,
    "renewable": True,
    "entity_id": "e",
    "token_type": "service",
    "orphan": True,
    "mfa_requirement": None,
    "num_uses": 0,
}

MountLogins = Callable[[str], "Service"]


@pytest.fixture
def mount_logins(service: Service) -> MountLogins:
    """Mounts a type of logins at `auth/in/`, number 9."""

    def mount(kind: str) -> Service:
        assert kind in LOGIN_TYPES
        service.engines[kind] = ENGINES[kind]
        service.tenant.mounts = MountTable([Mount("auth/in/", kind, 9, "u", f"auth_{kind}_9")])
        return service

    return mount
