"""The console's files as they are served: to anybody, where it is on, and nothing but them.

The kind: a file of the server that a path reaches, a page that another may frame or whose scripts another may send,
a copy of a page that outlives an upgrade.
"""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kms_actors.insight.cors import allowing
from kms_http.console import files
from kms_http.wire.entry import Entry

if TYPE_CHECKING:
    from tests.http.conftest import Service

STATIC = Path(files.__file__).parent / "static"
ON_DISK = sorted(str(path.relative_to(STATIC)) for path in STATIC.rglob("*") if path.is_file())


@pytest.fixture
async def console(service: Service) -> Service:
    """The service, with a listener that serves the console."""
    await service.server.stop(1)
    service.server.serve([Entry([socket.create_server(("127.0.0.1", 0))], console=True)])
    return service


def test_all_files_are_in_the_table_and_no_others() -> None:
    assert sorted(files.table()) == ON_DISK
    assert {"index.html", "style.css", "app/main.js", "vendor/preact.umd.js"} < set(ON_DISK)


@pytest.mark.parametrize("name", ON_DISK)
async def test_a_file_is_answered_as_it_is(console: Service, name: str) -> None:
    answer = await console.call("GET", f"/ui/{name}")
    assert (answer.status, answer.body) == (200, (STATIC / name).read_bytes())
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert answer.headers["Etag"] == f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
    media = {"js": "text/javascript", "html": "text/html", "css": "text/css", "svg": "image/svg+xml"}
    assert answer.headers["Content-Type"].startswith(media.get(name.rpartition(".")[2], ""))


async def test_every_answer_says_what_the_page_may(console: Service) -> None:
    answer = await console.call("GET", "/ui/")
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";"))
    assert (
        policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    )
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    for name, value in {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Frame-Options": "DENY",
        "Cache-Control": "no-cache",
    }.items():
        assert answer.headers[name] == value
    assert "Set-Cookie" not in answer.headers


async def test_whoever_has_a_file_gets_nothing_of_it(console: Service) -> None:
    first = await console.call("GET", "/ui/style.css")
    for sent in (first.headers["Etag"], f"W/{first.headers['Etag']}", f'"x", {first.headers["Etag"]}', "*"):
        again = await console.call("GET", "/ui/style.css", If_None_Match=sent)
        assert (again.status, again.body) == (304, b"")
        assert again.headers["Etag"] == first.headers["Etag"]
        assert "Content-Security-Policy" in again.headers
    assert (await console.call("GET", "/ui/style.css", If_None_Match='"other"')).status == 200


async def test_head_tells_all_but_the_body(console: Service) -> None:
    full, head = [await console.call(method, "/ui/app/main.js") for method in ("GET", "HEAD")]
    assert (head.status, head.body) == (200, b"")
    assert {**head.headers, "Date": ""} == {**full.headers, "Date": ""}


async def test_a_connection_goes_on_behind_a_file(console: Service) -> None:
    request = b"GET /ui/icon.svg HTTP/1.1\r\nHost: a\r\n%b\r\n"
    sent = await console.raw(request % b"" + request % b"Connection: close\r\n")
    assert sent.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert sent.endswith((STATIC / "icon.svg").read_bytes())


async def test_the_root_leads_to_the_console(console: Service) -> None:
    for path in ("/", "/ui", "/?x=1"):
        answer = await console.call("GET", path)
        assert (answer.status, answer.headers["Location"], answer.body) == (307, "/ui/", b"")


async def test_a_provider_sends_browsers_back_to_the_first_page(console: Service) -> None:
    page = await console.call("GET", "/ui/")
    for mount in ("oidc", "team/sso", "a%20b"):
        answer = await console.call("GET", f"/ui/vault/auth/{mount}/oidc/callback?code=c&state=s")
        assert (answer.status, answer.body) == (200, page.body)
    assert (await console.call("GET", "/ui/vault/auth/oidc/callback")).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/ui/../pages.py",
        "/ui/%2e%2e/pages.py",
        "/ui/..%2fpages.py",
        "/ui/app/../../files.py",
        "/ui//style.css",
        "/ui/./style.css",
        "/ui/%2fetc/passwd",
        "/ui//etc/passwd",
        "/ui/..\\pages.py",
        "/ui/style.css%00",
        "/ui/style.css%0d%0aX-Own:1",
        "/ui/style.css/",
        "/ui/Style.css",
        "/ui/app",
        "/ui/app/",
        "/ui/%ff",
        "/ui/vendor/preact.umd.js.map",
        "/style.css",
        "/UI/style.css",
        "/uix",
        "/ui.html",
        "/favicon.ico",
        "/ui/" + "a" * 6000,
    ],
)
async def test_nothing_else_is_there(console: Service, path: str) -> None:
    answer = await console.call("GET", path)
    assert answer.status in {400, 404}
    assert list(answer.json) == ["errors"]
    assert "X-Own" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "LIST", "OPTIONS", "TRACE"])
async def test_it_is_read_and_nothing_else(console: Service, method: str) -> None:
    for path in ("/ui/", "/ui/style.css", "/"):
        answer = await console.call(method, path, data=b"x" if method == "POST" else None)
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
        assert answer.errors == ["the console is read, and nothing else: GET or HEAD"]


async def test_where_it_is_off_there_is_nothing_and_that_is_said(service: Service) -> None:
    for path in ("/ui", "/ui/", "/ui/style.css", "/ui/vault/auth/oidc/oidc/callback"):
        answer = await service.call("GET", path)
        assert (answer.status, answer.errors) == (
            404,
            ["the web console is off at this address: the setting `ui` turns it on"],
        )
    root = await service.call("GET", "/")
    assert (root.status, root.errors) == (404, [])


async def test_it_is_there_while_all_is_sealed_and_asks_nobody_anything(console: Service) -> None:
    console.backend.node_sealed = True
    assert (await console.call("GET", "/ui/", "no-token", X_Vault_Namespace="none")).status == 200
    assert console.backend.asked == []
    assert console.tenant.asked == []
    assert {label for label, _, _ in console.observed} == {"console"}


async def test_its_own_requests_are_no_other_page_s(console: Service) -> None:
    """A browser names the origin with each POST, its own page's, too: settings of CORS are about others."""
    console.backend.cors = allowing(["https://other.example"], [])
    console.toys_answer("x")
    own = f"http://127.0.0.1:{console.server.port}"
    answer = await console.call("POST", "/v1/toy/names/a", "root", json={}, Origin=own)
    assert answer.status == 200
    for origin in ("http://127.0.0.1:1", "https://evil.example", f"{own}.evil.example", "null"):
        assert (await console.call("POST", "/v1/toy/names/a", "root", json={}, Origin=origin)).status == 403


def test_what_others_have_written_is_as_they_released_it() -> None:
    manifest: list[dict[str, Any]] = json.loads((STATIC / "vendor/manifest.json").read_text(encoding="utf-8"))
    listed = set()
    for package in manifest:
        assert package["licence"] in {"MIT", "Apache-2.0"}
        assert package["version"]
        assert package["npm_integrity"].startswith("sha512-")
        assert any("LICENSE" in name for name in package["files"])
        for name, of in package["files"].items():
            listed.add(name)
            assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == of["sha256"], name
    assert listed | {"manifest.json"} == {
        name.removeprefix("vendor/") for name in ON_DISK if name.startswith("vendor/")
    }


def test_no_page_has_a_script_a_style_or_a_handler_within() -> None:
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    assert "<style" not in text
    assert " style=" not in text
    assert " on" not in text.replace(" on the", "")
    assert all(part.startswith((' type="module" src=', " defer src=")) for part in text.split("<script")[1:])


def test_our_scripts_make_nothing_of_texts_but_texts() -> None:
    for path in STATIC.glob("app/**/*.js"):
        text = path.read_text(encoding="utf-8")
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "new Function",
            "localStorage",
        ):
            assert word not in text or (word == "localStorage" and path.name == "theme.js"), (path.name, word)
        assert text.count("\n") <= 400, path.name
