from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.auth.keys import TokenKeys
from kms_actors.auth.principal import Access, Capability
from tests.auth.mint import NAMESPACE, NOW, Mint


@pytest.fixture(scope="session")
def keys() -> TokenKeys:
    return TokenKeys.generate()


@pytest.fixture
def authenticator(keys: TokenKeys) -> BiscuitAuthenticator:
    return BiscuitAuthenticator([keys.public], "toto", NAMESPACE)


@pytest.fixture
def mint(keys: TokenKeys) -> Mint:
    return Mint(keys)


@pytest.fixture
def access() -> Callable[..., Access]:
    def make(**changes: Any) -> Access:
        fields: dict[str, Any] = {
            "operation": Capability.READ,
            "path": "secret/data/app/db",
            "mount": "secret/",
            "method": "GET",
            "client_ip": "192.0.2.7",
            "time": NOW,
        }
        return Access(**(fields | changes))

    return make
