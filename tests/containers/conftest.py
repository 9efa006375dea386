from __future__ import annotations

import pytest

from tests.support.containers import Podman, absent


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    if reason := absent():
        pytest.skip(reason)
    return Podman(tmp_path_factory.mktemp("podman"))
