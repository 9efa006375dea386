"""Every page that has commands, and what runs them. A page that is in neither table fails a test."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple


class Place(enum.Enum):
    """What a page's readers have before its first command."""

    NOTHING = "the project's folder"
    DEVELOPMENT = "the project's folder, and in another terminal the node of `make run`"
    GUIDE = "the shell of the guide, behind its section 7"


class Page(NamedTuple):
    """`programs` are clients that a page needs beside `vault` and curl; `long` pages are for `make test-docs`."""

    path: str
    place: Place
    programs: tuple[str, ...] = ()
    long: bool = False


PAGES: Final = (
    Page("docs/quick-start.md", Place.NOTHING),
    Page("docs/tutorials/command-line.md", Place.DEVELOPMENT, long=True),
    Page("docs/tutorials/hvac.md", Place.DEVELOPMENT, long=True),
    Page("docs/tutorials/narrowing.md", Place.DEVELOPMENT),
    Page("docs/tutorials/sops.md", Place.DEVELOPMENT, ("sops",), long=True),
    Page("docs/tutorials/cosign.md", Place.DEVELOPMENT, ("cosign",), long=True),
    Page("docs/tutorials/auto-unseal.md", Place.DEVELOPMENT, ("bao",), long=True),
    Page("docs/tutorials/migration.md", Place.DEVELOPMENT, ("bao",), long=True),
    Page("docs/operations/unseal.md", Place.GUIDE, long=True),
    Page("docs/operations/restore-drill.md", Place.GUIDE, long=True),
    Page("docs/operations/upgrade.md", Place.GUIDE, long=True),
    Page("docs/operations/disaster.md", Place.GUIDE, long=True),
    Page("docs/operations/scaling.md", Place.GUIDE, ("fdbserver", "fdbcli"), long=True),
    Page("docs/backup.md", Place.GUIDE, long=True),
    Page("docs/tokens.md", Place.DEVELOPMENT),
    Page("docs/identity.md", Place.DEVELOPMENT),
    Page("docs/audit.md", Place.NOTHING),
    Page("docs/commands.md", Place.NOTHING),
)

_OWN: Final = "tests/documents/test_documents.py"
#: Pages with a test of their own, and where that is.
ELSEWHERE: Final = {
    "README.md": _OWN,
    "docs/guide.md": _OWN,
    "docs/logins.md": _OWN,
    "docs/tenants.md": _OWN,
    "docs/kubernetes.md": _OWN,
    "docs/tutorials/kubernetes-secrets.md": "tests/documents/test_pods.py",
    "docs/wrapping.md": _OWN,
    "docs/listeners.md": _OWN,
    "docs/audit-proofs.md": _OWN,
    "docs/operator-keys.md": "tests/conformance/test_operator_keys_page.py",
    "docs/packages.md": "tests/containers/test_packages_page.py",
    "CONTRIBUTING.md": ".ci/run",
}

#: Blocks that no test runs, as their readers are told above each.
LEFT_OUT: Final = frozenset(
    {
        ("docs/clients.md", "it takes the clients of five registries"),
        ("docs/operations.md", "it installs a service, as root"),
        ("docs/logins.md", "it needs an issuer of yours"),
        ("docs/tutorials/kubernetes-secrets.md", "it needs a Kubernetes cluster"),
        ("docs/logins.md", "it needs a Kubernetes cluster"),
        ("docs/logins.md", "it needs certificates of yours; the page on listeners has a whole walk"),
        ("docs/performance.md", "measuring takes an hour"),
        ("docs/performance.md", "it needs a second environment"),
    }
)
