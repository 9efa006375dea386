"""Headers that operators of the cluster have the console send: beside its own, and never in their place.

The kind: a policy that is made weaker by a setting, a header that splits an answer.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kms_actors.errors import InvalidRequest
from kms_actors.insight.console_headers import (
    LONGEST,
    MOST,
    MOST_VALUES,
    ConsoleHeaders,
    ReadConsoleHeaders,
    WriteConsoleHeader,
    changed,
    checked,
)
from kms_http.console import pages
from kms_http.wire.entry import Entry
from tests.support.api import Api, exchange, initialise, unseal
from tests.support.node import Node, free_port, sqlite_table
from tests.support.tenant import make_tenant
from tests.support.tokens import Issuer

if TYPE_CHECKING:
    from tests.http.conftest import Service

PATH = "/v1/sys/config/ui/headers"


@pytest.mark.parametrize("name", sorted(pages.HEADERS))
def test_what_the_console_says_is_not_replaced(name: str) -> None:
    if name == "Content-Security-Policy":
        return  # one more of these only forbids more
    for spelled in (name, name.upper(), name.lower()):
        with pytest.raises(InvalidRequest, match="the console says this itself"):
            checked(spelled, ["x"])


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("X-Vault-Token", ["x"], "X-Vault headers cannot be set"),
        ("Set-Cookie", ["a=b"], "says this itself"),
        ("Access-Control-Allow-Origin", ["*"], "says this itself"),
        ("Refresh", ["0; url=https://evil.example"], "says this itself"),
        ("two words", ["x"], "letters, digits"),
        ("X-A", [], "values must be supplied"),
        ("X-A", ["a\r\nSet-Cookie: b"], "printable"),
        ("X-A", ["grüße"], "printable"),
        ("X-A", [" a"], "printable"),
        ("X-A", [""], "printable"),
        ("X-A", ["x"] * (MOST_VALUES + 1), "at most"),
        ("X-A", ["x" * (LONGEST + 1)], "at most"),
    ],
)
def test_what_is_no_header_is_refused(name: str, values: list[str], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        checked(name, values)


def test_headers_are_added_changed_and_taken_away() -> None:
    found = changed(ConsoleHeaders({}), checked("x-b", ["1", "2"]))
    found = changed(found, checked("X-a", ["3"]))
    assert list(found.headers.items()) == [("X-A", ("3",)), ("X-B", ("1", "2"))]
    assert found.pairs == [(b"X-A", b"3"), (b"X-B", b"1"), (b"X-B", b"2")]
    found = changed(changed(found, checked("X-A", ["4"])), WriteConsoleHeader("X-B"))
    assert found.headers == {"X-A": ("4",)}
    full = ConsoleHeaders({f"X-{number}": ("1",) for number in range(MOST)})
    with pytest.raises(InvalidRequest, match="at most"):
        changed(full, checked("X-One-More", ["1"]))
    assert changed(full, checked("X-0", ["2"])).headers["X-0"] == ("2",)


async def test_pages_have_them_beside_their_own(service: Service) -> None:
    await service.server.stop(1)
    service.server.serve([Entry([socket.create_server(("127.0.0.1", 0))], console=True)])
    service.backend.console_headers = [(b"Content-Security-Policy", b"sandbox"), (b"X-Robots-Tag", b"noindex")]
    sent = await service.raw(b"GET /ui/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"\r\nContent-Security-Policy: sandbox\r\n" in sent
    assert f"\r\nContent-Security-Policy: {pages.POLICY}\r\n".encode() in sent
    assert (await service.call("GET", "/ui/style.css")).headers["X-Robots-Tag"] == "noindex"
    assert "X-Robots-Tag" not in (await service.call("GET", "/v1/sys/health")).headers


async def test_the_cluster_s_operator_alone_sets_them(service: Service) -> None:
    service.backend.answers[ReadConsoleHeaders] = ConsoleHeaders({"X-A": ("1", "2")})
    assert (await service.call("LIST", PATH, "operator")).json["data"] == {"keys": ["X-A"]}
    assert (await service.call("GET", f"{PATH}/x-a", "operator")).json["data"] == {"value": "1"}
    many = await service.call("GET", f"{PATH}/X-A?multivalue=true", "operator")
    assert many.json["data"] == {"values": ["1", "2"]}
    assert (await service.call("GET", f"{PATH}/X-B", "operator")).status == 404
    assert (await service.call("POST", f"{PATH}/x-a", "operator", json={"values": "3"})).status == 204
    assert service.backend.asked[-1] == WriteConsoleHeader("X-A", ("3",))
    assert (await service.call("DELETE", f"{PATH}/x-a", "operator")).status == 204
    assert service.backend.asked[-1] == WriteConsoleHeader("X-A")

    before = len(service.backend.asked)
    assert (await service.call("LIST", PATH, "root")).status == 404
    assert (await service.call("GET", f"{PATH}/X-A", "root")).status == 404
    assert (await service.call("DELETE", f"{PATH}/X-A", "root")).status == 204
    refused = await service.call("POST", f"{PATH}/X-A", "root", json={"values": "3"})
    assert (refused.status, refused.errors) == (
        400,
        ["headers of the console are the cluster's: its operator sets them"],
    )
    assert (await service.call("POST", f"{PATH}/X-A", "data", json={"values": "3"})).status == 403
    assert len(service.backend.asked) == before
    assert service.tenant.asked == []


def test_listeners_say_for_themselves_and_all_processes_send_the_headers(tmp_path: Path) -> None:
    issuer = Issuer()
    node = Node.for_issuer(tmp_path, sqlite_table, issuer, forked=True)
    node.settings, node.listed, other = "ui = true\nworkers = 2", True, free_port()
    node.further = f"""
[[listeners]]
host = "127.0.0.1"
port = {node.port}

[[listeners]]
host = "127.0.0.1"
port = {other}
ui = false
"""
    node.start()
    try:
        operator = Api(node.address, issuer.cluster_operator())
        unseal(operator, initialise(operator, 1, 1)["keys_base64"])
        assert operator.get("sys/config/state/sanitized").data["enable_ui"] is True
        assert operator.post("sys/config/ui/headers/x-robots-tag", {"values": ["noindex"]}).status == 204
        shown = [exchange(node.address, "GET", "/ui/", None, {}) for _ in range(8)]
        assert {(answer.status, answer.headers.get("x-robots-tag")) for answer in shown} == {(200, "noindex")}
        hidden = exchange(f"http://127.0.0.1:{other}", "GET", "/ui/", None, {})
        assert (hidden.status, len(hidden.errors)) == (404, 1)
        assert Api(f"http://127.0.0.1:{other}").get("sys/health").status == 200
        assert make_tenant(node, issuer).root.list("sys/config/ui/headers").status == 404
        assert node.stop() == 0
        node.start()
        assert "x-robots-tag" not in exchange(node.address, "GET", "/ui/", None, {}).headers  # sealed: not known
    finally:
        node.close()
