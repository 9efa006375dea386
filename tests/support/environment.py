"""The environment in which tests run: made of what is listed here, never what the user's shell happens to hold.

A list of what is kept, not of what is dropped: a client's next variable needs no entry. What clients keep at home
(`~/.vault-token`, `~/.netrc`, `~/.config`) is out of reach, for the home is an empty directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

#: Where programs and libraries are, how downloads of Go and pip get through, what Python and its tools are told.
_KEPT: Final = frozenset(
    {
        *("PATH", "LD_LIBRARY_PATH", "TMPDIR", "CC", "CI"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
    }
)
_KEPT_BEGINNINGS: Final = ("GO", "CGO_", "PIP_", "PYTHON", "PYTEST_", "HYPOTHESIS_", "COVERAGE_")
#: Settings of the tests and benches themselves; `KMS_ROOT_PRIVATE_KEY` and the like are the user's.
_OWN_BEGINNINGS: Final = (
    "KMS_TEST_",
    "KMS_AUDIT_",
    "KMS_CLUSTER_",
    "KMS_FAULT_",
    "KMS_JUDGE_",
    "KMS_MIGRATION_",
    "KMS_DIFFERENTIAL_",
    "KMS_REFERENCE_",
    "KMS_REQUIRE_",
)

#: Requests to loopback never go to a proxy.
_LOCAL: Final = "127.0.0.1,localhost,::1"


def environment_of_tests(users: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return the variables of a test run whose home is `home`; caches of what takes long to build stay the user's."""
    kept = {
        name: value
        for name, value in users.items()
        if name in _KEPT or name.startswith((*_KEPT_BEGINNINGS, *_OWN_BEGINNINGS))
    }
    users_home = users.get("HOME", "/nonexistent")
    cache = users.get("XDG_CACHE_HOME") or f"{users_home}/.cache"
    caches = {"KMS_TEST_CACHE": f"{cache}/clever-kms", "GOPATH": f"{users_home}/go", "GOCACHE": f"{cache}/go-build"}
    return {
        **caches,
        **kept,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "NO_PROXY": _LOCAL,
        "no_proxy": _LOCAL,
    }
