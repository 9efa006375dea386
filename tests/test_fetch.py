from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from kms_actors.errors import Overloaded
from kms_actors.fetch import MAX_BYTES, Fetcher, FetchFailed
from tests.support.web import Authority, make_authority, site


class Site(NamedTuple):
    address: str
    port: str
    seen: list[web.BaseRequest]
    bodies: list[bytes]


async def _answer(seen: list[web.BaseRequest], bodies: list[bytes], request: web.BaseRequest) -> web.StreamResponse:
    seen.append(request)
    bodies.append(await request.read())
    match request.path:
        case "/moved":
            return web.Response(status=302, headers={"Location": "/keys"})
        case "/large":
            return web.Response(body=b" " * (MAX_BYTES + 1))
        case "/packed":
            return web.Response(body=b"{}", headers={"Content-Encoding": "gzip"})
        case "/slow":
            await asyncio.sleep(60)
        case "/short":
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b"x")
            assert request.transport is not None
            request.transport.close()
            return response
        case "/cookie":
            return web.Response(headers={"Set-Cookie": "a=b"})
    return web.json_response({"path": request.path_qs})


@pytest.fixture
def plain() -> Iterator[Site]:
    seen: list[web.BaseRequest] = []
    bodies: list[bytes] = []
    with site(lambda request: _answer(seen, bodies, request)) as address:
        yield Site(address, address.rpartition(":")[2], seen, bodies)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(authority: Authority) -> Iterator[Site]:
    seen: list[web.BaseRequest] = []
    bodies: list[bytes] = []
    with site(lambda request: _answer(seen, bodies, request), authority.server_context()) as address:
        yield Site(address, address.rpartition(":")[2], seen, bodies)


@pytest.fixture
def fetcher(request: pytest.FixtureRequest) -> Iterator[Any]:
    made: list[Fetcher] = []

    def make(*allowed: str, seconds: float = 5.0) -> Fetcher:
        made.append(Fetcher(allowed, seconds))
        return made[-1]

    yield make
    for each in made:
        each.close()


async def test_what_is_allowed_is_fetched_as_it_stands(plain: Site, fetcher: Any) -> None:
    own = fetcher(plain.address, f"http://localhost:{plain.port}").of("v")
    assert (await own.get(f"{plain.address}/keys?a=%2Fb&c=d+e")).body == b'{"path": "/keys?a=%2Fb&c=d+e"}'
    assert (await own.get(f"http://localhost:{plain.port}", headers={"X-A": "b"})).status == 200
    assert plain.seen[1].headers["X-A"] == "b"
    assert plain.seen[1].headers["Host"] == f"localhost:{plain.port}"
    await own.post_form(plain.address, {"code": "a b&c", "x": "y"})
    await own.post_json(plain.address, b'{"a":1}', headers={"Authorization": "Bearer t"})
    assert plain.bodies[2:] == [b"code=a+b%26c&x=y", b'{"a":1}']
    assert plain.seen[3].headers["Content-Type"] == "application/json"
    assert plain.seen[3].headers["Authorization"] == "Bearer t"


async def test_what_is_not_allowed_is_not_even_connected_to(plain: Site, fetcher: Any) -> None:
    own = fetcher("public").of("v")
    for url in (plain.address, f"https://127.0.0.1:{plain.port}/", f"https://localhost:{plain.port}/"):
        with pytest.raises(FetchFailed, match="login_urls"):
            await own.get(url)
    with pytest.raises(FetchFailed, match="login_urls"):
        own.fetcher.check(plain.address)
    with pytest.raises(FetchFailed, match="not known"):
        await own.get("https://nowhere.invalid/")
    assert not plain.seen


async def test_a_name_is_connected_to_at_the_addresses_that_were_looked_up(
    plain: Site, fetcher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that turns into an inner address after it was checked."""
    answers = iter(["127.0.0.1", "10.0.0.1"])
    asked: list[str] = []

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr("kms_actors.fetch.socket.getaddrinfo", look_up)
    own = fetcher(f"http://idp.test:{plain.port}").of("v")
    assert (await own.get(f"http://idp.test:{plain.port}/")).status == 200
    assert asked == ["idp.test"]


async def test_of_several_addresses_only_those_allowed_are_connected_to(
    fetcher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        return [
            (socket.AF_INET, 1, 6, "", (address, port)) for address in ("127.0.0.1", "169.254.169.254", "10.1.1.1")
        ]

    monkeypatch.setattr("kms_actors.fetch.socket.getaddrinfo", look_up)
    with pytest.raises(FetchFailed, match="no address that may be"):
        await fetcher("public").of("v").get("https://idp.example.com/")


@pytest.mark.parametrize(
    ("path", "text"),
    [("large", "bytes"), ("packed", "packed"), ("short", "broken off")],
)
async def test_bad_answers_are_failures_in_words(plain: Site, fetcher: Any, path: str, text: str) -> None:
    with pytest.raises(FetchFailed, match=text):
        await fetcher(plain.address).of("v").get(f"{plain.address}/{path}")


async def test_no_redirect_is_followed_and_no_cookie_kept(plain: Site, fetcher: Any) -> None:
    own = fetcher(plain.address).of("v")
    assert (await own.get(f"{plain.address}/moved")).status == 302
    await own.get(f"{plain.address}/cookie")
    await own.get(f"{plain.address}/keys")
    assert [request.path for request in plain.seen] == ["/moved", "/cookie", "/keys"]
    assert "Cookie" not in plain.seen[2].headers


async def test_an_answer_has_its_time(plain: Site, fetcher: Any) -> None:
    with pytest.raises(FetchFailed, match="no answer in time"):
        await fetcher(plain.address, seconds=0.1).of("v").get(f"{plain.address}/slow")


async def test_nobody_there_is_a_failure(fetcher: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(FetchFailed, match="connected"):
        await fetcher(address).of("v").get(address)


async def test_a_certificate_must_be_of_the_ca_that_is_named(
    secure: Site, fetcher: Any, authority: Authority
) -> None:
    own = fetcher("127.0.0.0/8").of("v")
    assert (await own.get(f"{secure.address}/keys", authority.pem)).status == 200
    assert (await own.get(f"https://localhost:{secure.port}/keys", authority.pem)).status == 200
    with pytest.raises(FetchFailed, match="not trusted"):
        await own.get(f"{secure.address}/keys")
    with pytest.raises(FetchFailed, match="CA"):
        await own.get(f"{secure.address}/keys", "no certificate")


async def test_a_certificate_must_be_of_the_host(
    secure: Site, fetcher: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(secure.port)))
    monkeypatch.setattr("kms_actors.fetch.socket.getaddrinfo", lambda *_, **__: [place])
    with pytest.raises(FetchFailed, match="not trusted"):
        await fetcher("127.0.0.0/8").of("v").get(f"https://other.test:{secure.port}/", authority.pem)


async def test_one_vault_that_waits_keeps_nobody_else_waiting(plain: Site, fetcher: Any) -> None:
    shared = fetcher(plain.address)
    waiting = [asyncio.create_task(shared.of("a").get(f"{plain.address}/slow")) for _ in range(72)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await shared.of("a").get(f"{plain.address}/keys")
    assert (await shared.of("b").get(f"{plain.address}/keys")).status == 200
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(request.path == "/slow" for request in plain.seen) <= 8
    assert not shared._entered
    assert not shared._places


async def test_proxies_of_the_environment_are_not_asked(
    plain: Site, fetcher: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await fetcher(plain.address).of("v").get(plain.address)).status == 200
