"""A browser at the console of real nodes. What it complains of, and what it keeps of a token, fails the test."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from kms_actors.cli.private_file import create_private
from tests.support.api import Api, initialise, unseal
from tests.support.browser import Browser, browser, require_chromium
from tests.support.browser_keys import People
from tests.support.certificates import Identity
from tests.support.node import Node, sqlite_table
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

AXE: Final = (Path(__file__).parent / "vendor/axe.min.js").read_text(encoding="utf-8")
_RUN_AXE: Final = """
const [rules, done] = arguments;
axe.run(document, {resultTypes: ["violations"], ...(rules.length && {runOnly: {type: "rule", values: rules}})}).then(
  (found) => done(found.violations.map((each) => [each.id, each.nodes.map((node) => node.html.slice(0, 160))])),
  (error) => done([["axe failed", [String(error)]]]));
"""
#: What the browser keeps of the console: colours, if they were chosen.
_KEPT: Final = "return [Object.keys(localStorage), Object.keys(sessionStorage), document.cookie]"

NewNode = Callable[..., Node]


@dataclass(frozen=True)
class Console:
    """A window at the console of one node."""

    window: Browser
    address: str

    def sign_in(self, token: str) -> Browser:
        """Open the console anew, with a token."""
        self.window.open(f"{self.address}/ui/")
        self.window.fill("Token", token)
        self.window.click("Sign in")
        self.window.find("Sign out")
        return self.window

    def go(self, place: str, heading: str) -> Browser:
        """Go to a page, and wait until it has loaded."""
        self.window.script("location.hash = arguments[0]", place)
        self.window.wait(lambda: self.heading == heading, f"{place}: {heading}, not {self.heading}")
        self.window.wait(lambda: "Loading…" not in self.window.text, f"{place} has loaded")
        return self.window

    @property
    def heading(self) -> str:
        return str(self.window.script("return document.querySelector('h1')?.innerText || ''"))

    @property
    def menu(self) -> list[str]:
        found: list[str] = self.window.script(
            "return [...document.querySelectorAll('#nav a')].map((e) => e.innerText)"
        )
        return found

    def accessible(self, *rules: str) -> list[Any]:
        """Return what axe finds on the page as it is, by all of its rules or by these."""
        if not self.window.script("return typeof axe !== 'undefined'"):
            self.window.script(AXE)
        found: list[Any] = self.window.later(_RUN_AXE, list(rules))
        return found

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return int(self.window.script("return document.documentElement.scrollWidth - innerWidth"))


@pytest.fixture(scope="session")
def people() -> People:
    return People.made()


@pytest.fixture(scope="session")
def window(people: People) -> Iterator[Browser]:
    """The one browser of all these tests: to start it takes longer than most of them."""
    with browser(require_chromium(), people=people) as found:
        yield found


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="session")
def new_node(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[NewNode]:
    """Makes nodes that serve the console, on empty stores; they end with the tests.

    `secure`: the port of a listener that asks browsers for certificates, beside the plain one, and what it shows.
    `kept`: a file has the master key.
    """
    nodes: list[Node] = []

    def make(further: str = "", secure: tuple[int, Identity] | None = None, *, kept: bool = False) -> Node:
        directory = tmp_path_factory.mktemp("console")
        node = Node.for_issuer(directory, sqlite_table, issuer, further=further, forked=True)
        if kept:
            create_private(directory / "master.key", os.urandom(32).hex())
            node.provider_name, node.provider = "static", f'key_file = "{directory / "master.key"}"'
        if secure is not None:
            port, server = secure
            certificate, key = server.files(directory, "server")
            node.listed = True
            node.further += (
                f'\n[[listeners]]\nhost = "127.0.0.1"\nport = {node.port}\n'
                f'[[listeners]]\nhost = "127.0.0.1"\nport = {port}\n[listeners.tls]\n'
                f'client_certificates = "request"\ncertificate_file = "{certificate}"\nprivate_key_file = "{key}"\n'
            )
        node.settings = "ui = true"
        nodes.append(node)
        node.start()
        return node

    yield make
    for node in nodes:
        node.close()
        assert "Traceback" not in node.log


@pytest.fixture(scope="session")
def node(new_node: NewNode, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Node:
    """An unsealed node, for all tests that leave it so."""
    found = new_node(f'\n[audit]\nfolder = "{tmp_path_factory.mktemp("audit")}"\n')
    operator = Api(found.address, issuer.cluster_operator())
    unseal(operator, initialise(operator, 1, 1)["keys_base64"])
    return found


@pytest.fixture
def tenant(node: Node, issuer: Issuer) -> Tenant:
    return make_tenant(node, issuer)


@pytest.fixture
def console(window: Browser, node: Node) -> Console:
    return Console(window, node.address)


@pytest.fixture(autouse=True)
def quiet(window: Browser) -> Iterator[None]:
    """Fail for errors in the browser, violations of the policy, and tokens that are kept."""
    window.complaints()
    window.colours("light")
    window.resize(1280, 900)
    yield
    assert window.complaints() == []
    kept, session, cookies = window.script(_KEPT)
    assert (set(kept) <= {"kms-console-theme"}, session, cookies) == (True, [], "")


def manifest(folder: Path) -> list[dict[str, Any]]:
    """Return what a folder of others' files says of them."""
    found: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return found
