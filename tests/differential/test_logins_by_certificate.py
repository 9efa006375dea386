"""Logins by certificate: roles, certificates and lists in all combinations, decided alike by both servers."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from tests.support import certificates
from tests.support.certificates import Identity
from tests.support.node import PATIENCE, free_port, wait_until
from tests.support.reference import clean_environment, find_bao
from tests.support.tenant import make_tenant
from tests.support.tls_node import Caller, TlsNode, caller
from tests.support.tokens import Issuer

ROOT: Final = certificates.authority("root")
MIDDLE: Final = certificates.authority("middle", ROOT)
OTHER: Final = certificates.authority("other")
_DAY: Final = datetime.timedelta(days=1)
_NOW: Final = datetime.datetime.now(datetime.UTC)
_TEXT: Final = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5"), b"\x0c\x05hello")
APP: Final = certificates.client(
    "app.example.com",
    MIDDLE,
    units=["eng", "ops"],
    names=[
        x509.DNSName("a.example.com"),
        x509.RFC822Name("a@example.com"),
        x509.UniformResourceIdentifier("spiffe://x/y"),
    ],
    extensions=[(_TEXT, False)],
)
LEAF: Final = certificates.client("leaf")
SHOWN: Final[dict[str, tuple[Identity, ...]]] = {
    "app": (APP, MIDDLE),
    "app alone": (APP,),
    "app and all": (APP, MIDDLE, ROOT),
    "leaf": (LEAF,),
    "same key": (certificates.client("leaf", key=LEAF.key),),
    "same number": (certificates.client("leaf", serial=LEAF.certificate.serial_number),),
    "of root": (certificates.client("direct", ROOT),),
    "stranger": (certificates.client("app.example.com", OTHER), OTHER),
    "by a client": (certificates.client("x", APP), APP, MIDDLE),
    "without usage": (certificates.make("plain", ROOT),),
    "of a server": (certificates.make("server", ROOT, usages=[ExtendedKeyUsageOID.SERVER_AUTH]),),
    "old": (certificates.client("old", ROOT, begin=_NOW - 9 * _DAY, end=_NOW - _DAY),),
}
ROLES: Final[dict[str, dict[str, Any]]] = {
    "root": {"certificate": ROOT.pem, "token_policies": "p,Q"},
    "middle": {"certificate": MIDDLE.pem, "token_ttl": "1h", "display_name": "shown"},
    "leaf": {"certificate": LEAF.pem},
    "app": {"certificate": APP.pem, "allowed_metadata_extensions": "1.2.3.4.5,1.2.9"},
    "several": {"certificate": LEAF.pem + ROOT.pem},
    "authorities": {"certificate": OTHER.pem + ROOT.pem},
    "bound": {"certificate": ROOT.pem, "token_bound_cidrs": "192.0.2.0/24"},
    "batch": {"certificate": ROOT.pem, "token_type": "batch"},
    "root policy": {"certificate": ROOT.pem, "token_policies": "root"},
    **{
        f"{field} {pattern}": {"certificate": ROOT.pem, field: pattern}
        for field, patterns in {
            "allowed_common_names": ("app.example.com", "*.example.com,x", "APP.*", "direct"),
            "allowed_dns_sans": ("a.example.com", "*"),
            "allowed_email_sans": ("a@*", "x"),
            "allowed_uri_sans": ("spiffe://*/y", "x"),
            "allowed_organizational_units": ("o*", "x"),
            "allowed_names": ("a@example.com", "spiffe://x/y"),
            "required_extensions": ("1.2.3.4.5:h*", "1.2.3.4.5:x", "1.2.3.4.6:*", "bad", "hex:1.2.3.4.5:*"),
        }.items()
        for pattern in patterns
    },
}
WRONG: Final[list[dict[str, Any]]] = [
    {},
    {"certificate": "x"},
    {"certificate": ROOT.pem, "token_type": "x"},
    {"certificate": ROOT.pem, "token_ttl": "2h", "token_max_ttl": "1h"},
    {"certificate": certificates.make("s", usages=[ExtendedKeyUsageOID.SERVER_AUTH]).pem},
    {"certificate": ROOT.pem, "token_ttl": "9000h"},
    {"certificate": ROOT.pem, "policies": "b,a", "ttl": 60, "max_ttl": "1h", "period": 5, "bound_cidrs": "127.0.0.1"},
]
_AUTH: Final = (
    "policies",
    "token_policies",
    "metadata",
    "lease_duration",
    "renewable",
    "token_type",
    "orphan",
    "num_uses",
)
#: Of answers that are 500 there, and 400 here.
_OURS: Final = 400


class Side(NamedTuple):
    """One server, and what it is asked by."""

    caller: Caller
    token: str
    headers: dict[str, str]

    def ask(self, method: str, path: str, body: Any = None, *, shown: tuple[Identity, ...] = ()) -> tuple[int, Any]:
        headers = self.headers | {"X-Vault-Token": self.token}
        return self.caller.call(method, path, body, shown=shown, headers=headers)


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    directory = tmp_path_factory.mktemp("cert")
    own = TlsNode.started(directory, Issuer())
    tenant = make_tenant(own.node, own.issuer)
    with reference(tmp_path_factory.mktemp("reference")) as port:
        callers = caller(port, directory), caller(own.port, directory, own.identity)
        pair = (
            Side(callers[0], "root", {}),
            Side(callers[1], tenant.root.token or "", {"X-Vault-Namespace": tenant.vault_id}),
        )
        for side in pair:
            assert side.ask("POST", "sys/auth/cert", {"type": "cert"})[0] == 204
        yield pair
    assert own.node.stop() == 0
    assert "Traceback" not in own.node.log


@contextlib.contextmanager
def reference(directory: Path) -> Iterator[int]:
    """Run a development server of the reference with TLS; yield its port."""
    port = free_port()
    options = [f"-dev-listen-address=127.0.0.1:{port}", "-dev-root-token-id=root", f"-dev-tls-cert-dir={directory}"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(find_bao()), "server", "-dev-tls", *options],
            env=clean_environment(directory),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def answers() -> bool:
        with contextlib.suppress(OSError):
            return caller(port, directory).call("GET", "sys/health")[0] == 200
        return False

    try:
        wait_until(answers, "the reference answers")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


def told(answer: tuple[int, Any]) -> Any:
    """Return what of an answer is the same on both."""
    status, body = answer
    body = body or {}
    errors = [_shortened(text) for text in body.get("errors") or ()]
    auth = body.get("auth")
    given = auth and {name: auth.get(name) or None for name in _AUTH}
    return _OURS if status == 500 else status, body.get("data"), body.get("warnings"), given, errors


def _shortened(text: str) -> str:
    """Return an error without what only the reference says: values that were sent, times, bytes of certificates."""
    text = text.removeprefix("1 error occurred:\n\t* ").strip().removeprefix("failed to renew entry: ")
    for end in (": current time", ":\n", ' "'):
        text = text.partition(end)[0]
    return text


def same(sides: tuple[Side, Side], method: str, path: str, body: Any = None, *shown: Identity) -> Any:
    """Ask both, which must answer alike; return what they told."""
    theirs, ours = (told(side.ask(method, path, body, shown=shown)) for side in sides)
    assert ours == theirs, (method, path, body)
    return ours


def test_roles_are_kept_and_shown_alike(sides: tuple[Side, Side]) -> None:
    for number, role in enumerate([*ROLES.values(), *WRONG]):
        path = f"auth/cert/certs/role-{number}"
        same(sides, "POST", path, role)
        same(sides, "GET", path)
        same(sides, "POST", path, {"token_policies": "other"})
        same(sides, "GET", path)
        same(sides, "DELETE", path)
    same(sides, "LIST", "auth/cert/certs")
    same(sides, "GET", "auth/cert/certs/none")


def test_logins_are_decided_alike(sides: tuple[Side, Side]) -> None:
    """Each certificate at each role, and at all of them together."""
    decided: dict[int, int] = {}
    for role in ROLES.values():
        same(sides, "POST", "auth/cert/certs/tried", role)
        for shown in SHOWN.values():
            status = same(sides, "POST", "auth/cert/login", {"name": "tried"}, *shown)[0]
            decided[status] = decided.get(status, 0) + 1
    assert decided[200] >= 15
    assert decided[400] >= 100
    same(sides, "DELETE", "auth/cert/certs/tried")
    for name in ("leaf", "root", "allowed_common_names direct"):
        same(sides, "POST", f"auth/cert/certs/{name.replace(' ', '-')}", ROLES[name])
        for shown in SHOWN.values():
            same(sides, "POST", "auth/cert/login", {}, *shown)
    for name in ("leaf", "root", "allowed_common_names direct"):
        same(sides, "DELETE", f"auth/cert/certs/{name.replace(' ', '-')}")
    same(sides, "POST", "auth/cert/login", {"name": "none"}, APP)


def revoking(issuer: Identity, *revoked: Identity, until: datetime.timedelta = _DAY) -> str:
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    builder = builder.last_update(_NOW - 9 * _DAY).next_update(_NOW + until)
    for each in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(each.certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(_NOW).build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def test_what_was_revoked_is_decided_alike(sides: tuple[Side, Side]) -> None:
    lists = [
        revoking(MIDDLE, APP),
        revoking(ROOT, MIDDLE),
        revoking(OTHER, APP),
        revoking(MIDDLE, LEAF),
        revoking(MIDDLE, APP, until=-_DAY),
    ]
    same(sides, "LIST", "auth/cert/crls")
    for role, crl in itertools.product(("root", "middle", "leaf", "app"), lists):
        same(sides, "POST", "auth/cert/certs/tried", ROLES[role])
        same(sides, "POST", "auth/cert/crls/X", {"crl": crl})
        same(sides, "LIST", "auth/cert/crls")
        same(sides, "GET", "auth/cert/crls/x")
        for name in ("app", "leaf"):
            same(sides, "POST", "auth/cert/login", {"name": "tried"}, *SHOWN[name])
        same(sides, "DELETE", "auth/cert/crls/x")
    same(sides, "DELETE", "auth/cert/crls/x")
    same(sides, "GET", "auth/cert/crls/x")
    same(sides, "POST", "auth/cert/crls/x", {})
    same(sides, "DELETE", "auth/cert/certs/tried")


def test_renewals_are_decided_alike(sides: tuple[Side, Side]) -> None:
    same(sides, "POST", "auth/cert/certs/tried", {"certificate": ROOT.pem, "token_policies": "p", "token_ttl": 600})

    def renewed(*shown: Identity) -> Any:
        found = []
        for side, token in zip(sides, tokens, strict=True):
            answer = side._replace(token=token).ask("POST", "auth/token/renew-self", {}, shown=shown)
            found.append(told(answer))
        assert found[0] == found[1], shown
        return found[0]

    tokens = []
    for side in sides:
        status, body = side.ask("POST", "auth/cert/login", {"name": "tried"}, shown=(APP, MIDDLE))
        assert status == 200
        tokens.append(body["auth"]["client_token"])
    for shown in ((APP, MIDDLE), (), (certificates.client("app.example.com", MIDDLE), MIDDLE), (APP,)):
        renewed(*shown)
    same(sides, "POST", "auth/cert/crls/x", {"crl": revoking(MIDDLE, APP)})
    renewed(APP, MIDDLE)
    same(sides, "DELETE", "auth/cert/crls/x")
    same(sides, "POST", "auth/cert/certs/tried", {"token_policies": "changed"})
    renewed(APP, MIDDLE)
    same(sides, "POST", "auth/cert/config", {"disable_binding": True})
    same(sides, "GET", "auth/cert/config")
    renewed()
    same(sides, "POST", "auth/cert/certs/tried", {"token_policies": "p"})
    assert renewed()[0] == 200
    same(sides, "POST", "auth/cert/config", {"disable_binding": False})
