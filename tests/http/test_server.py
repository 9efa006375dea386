from __future__ import annotations

import asyncio
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from aiohttp import ClientSession

from kms_http import (
    received,
    routing,
    server,
)
from kms_http.server import HttpServer
from kms_http.wire import (
    inbound,
    limits,
    response,
)

if TYPE_CHECKING:
    from tests.http.conftest import Service


CANARY = "canary-Zm9vYmFy-secret"
TOKEN = b"X-Vault-Token: data\r\n"
READ = b"GET /v1/toy/names/a HTTP/1.1\r\nHost: x\r\n" + TOKEN + b"\r\n"
CLOSE = b"Connection: close\r\n\r\n"


def head(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: x", "X-Vault-Token: data", *lines, "", "")).encode()


def parse(raw: bytes) -> list[tuple[int, dict[str, str], Any]]:
    """Return status, headers and JSON of every answer in `raw`."""
    answers = []
    while raw:
        block, _, raw = raw.partition(b"\r\n\r\n")
        status, *lines = block.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers.get("Content-Length", 0))
        answers.append((int(status.split()[1]), headers, json.loads(raw[:length]) if length else None))
        raw = raw[length:]
    return answers


class TestMalformedRequests:
    @pytest.mark.parametrize(
        ("data", "status"),
        [
            (b"\x00\x01\x02\x03\r\n\r\n", 400),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
            (b"GET /v1/x HTTP/9.9\r\nHost: x\r\n\r\n", 505),
            (b"GET /v1/x HTTP/1.1\r\n\r\n", 400),
            (b"GET /v1/x HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
            (b"GET /v1/x HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", 400),
            (b"GET /v1/x HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", 400),
            (b"GET /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
            (b"GET /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            (b"GET /v1/x HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 70 + b"\r\n", 431),
            (b"GET /v1/x HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 40_000 + b"\r\n\r\n", 431),
            (b"GET /v1/" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
            (b"GET /v1/\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            (b"GET /v1/a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ],
    )
    async def test_are_answered_in_json_and_end_the_connection(
        self, service: Service, data: Any, status: int
    ) -> None:
        with structlog.testing.capture_logs() as logs:
            ((code, headers, answer),) = parse(await service.raw(data))
        assert code == status
        assert list(answer) == ["errors"]
        assert headers["Content-Type"] == "application/json"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Connection"] == "close"
        assert "Server" not in headers
        assert logs == []

    async def test_show_nothing_of_what_was_sent(self, service: Service, caplog: pytest.LogCaptureFixture) -> None:
        data = f"GET /v1/x HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {CANARY}\rx\r\n\r\n".encode()
        with structlog.testing.capture_logs() as logs:
            answer = await service.raw(data)
        assert CANARY not in answer.decode() + str(logs) + caplog.text

    @pytest.mark.parametrize("data", [b"", b"GET", b"GET /v1/x HTTP/1.1\r\nHo"])
    async def test_that_break_off_get_no_answer_and_harm_nobody(self, service: Service, data: Any) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
        writer.write(data)
        await writer.drain()
        writer.close()
        assert (await service.call("GET", "/v1/sys/health")).status == 200

    async def test_a_megabyte_of_garbage_harms_nobody(self, service: Service) -> None:
        for data in (b"\x00" * 2**20, b"GET " * 2**18, b"A" * 2**20, b"\r\n" * 2**19):
            try:
                answer = await service.raw(data, half_close=True)
            except ConnectionError:
                continue
            assert answer == b"" or parse(answer)[0][0] in (400, 405, 431)
        assert (await service.call("GET", "/v1/sys/health")).status == 200


class TestLimits:
    async def test_a_long_token_and_a_long_path_pass(self, service: Service) -> None:
        service.authenticator.principals["t" * 30_000] = service.authenticator.principals["data"]
        name = "a" * routing.MAX_NAME
        assert (await service.call("GET", f"/v1/toy/names/{name}", "t" * 30_000)).status == 200
        answer = await service.call("GET", f"/v1/toy/names/{name}a", "data")
        assert (answer.status, answer.errors) == (400, ["a name is longer than 512 characters"])
        answer = await service.call("GET", f"/v1/nosuch/{'a/' * 2560}", "data")
        assert (answer.status, answer.errors) == (400, ["the path is longer than 5120 bytes"])

    async def test_a_body_of_32_mib_passes_and_a_larger_one_does_not(self, service: Service) -> None:
        frame = b'{"text":"%b"}'
        fits = frame % (b"x" * (limits.MAX_BODY - len(frame) + 2))
        assert (await service.call("PUT", "/v1/toy/names/a", "data", data=io.BytesIO(fits))).status == 200
        assert len(service.tenant.asked[0].text) == limits.MAX_BODY - len(frame) + 2
        answer = await service.raw(head("PUT", "/v1/toy/names/a", f"Content-Length: {limits.MAX_BODY + 1}") + b"{")
        ((status, headers, found),) = parse(answer)
        assert (status, headers["Connection"]) == (413, "close")
        assert found == {"errors": ["http: request body too large"]}

    async def test_a_chunked_body_is_limited_too(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "MAX_BODY", 100_000)
        monkeypatch.setattr(received, "MAX_BODY", 100_000)
        chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        sent = head("PUT", "/v1/toy/names/a", "Transfer-Encoding: chunked") + chunk * 4 + b"0\r\n\r\n"
        ((status, _, found),) = parse(await service.raw(sent))
        assert (status, found) == (413, {"errors": ["http: request body too large"]})

    async def test_chunked_bodies_work(self, service: Service) -> None:
        chunks = b'5\r\n{"tex\r\n8\r\nt": "x"}\r\n0\r\n\r\n'
        sent = head("PUT", "/v1/toy/names/a", "Transfer-Encoding: chunked", "Connection: close") + chunks
        ((status, _, _),) = parse(await service.raw(sent))
        assert (status, service.tenant.asked[0].text) == (200, "x")

    @pytest.mark.parametrize(
        "sent",
        [
            head("PUT", "/v1/toy/names/a", "Transfer-Encoding: chunked") + b"zz\r\n",
            head("PUT", "/v1/toy/names/a", "Transfer-Encoding: chunked") + b"5\r\n{}",
            head("PUT", "/v1/toy/names/a", "Content-Length: 10") + b"{}",
        ],
    )
    async def test_a_broken_body_is_no_failure_of_ours(self, service: Service, sent: bytes) -> None:
        with structlog.testing.capture_logs() as logs:
            answers = parse(await service.raw(sent, half_close=True))
        assert [status for status, _, _ in answers] in ([], [400], [400, 400])
        assert service.tenant.asked == []
        assert logs == []

    async def test_a_slow_body_is_given_up(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(inbound, "READ_SECONDS", 0.1)
        answer = await service.raw(head("PUT", "/v1/toy/names/a", "Content-Length: 10") + b"{")
        ((status, headers, _),) = parse(answer)
        assert (status, headers["Connection"]) == (408, "close")

    async def test_slow_headers_are_given_up(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "HEAD_SECONDS", 0.1)
        other = HttpServer(service.backend, service.authenticator, lambda *_: None)
        await other.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", other.port)
        writer.write(b"GET /v1/x HTTP/1.1\r\nHost:")
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 408 ")
        writer.close()
        await other.stop(1)

    async def test_a_client_that_takes_no_answer_is_given_up(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(response, "WRITE_SECONDS", 0.1)
        service.toys_answer("x" * 2**25)
        reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port, limit=2**12)
        writer.write(READ)
        await asyncio.sleep(0.5)
        block = await reader.readuntil(b"\r\n\r\n")
        assert len(await reader.read()) < int(block.split(b"Content-Length: ")[1])
        writer.close()

    async def test_an_expected_continue_is_sent(self, service: Service) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
        writer.write(head("PUT", "/v1/toy/names/a", "Content-Length: 12", "Expect: 100-continue"))
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b'{"text":"x"}')
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200 ")
        writer.close()

    async def test_a_compressed_body_is_not_opened(self, service: Service) -> None:
        answer = await service.call(
            "PUT", "/v1/toy/names/a", "data", data=b"\x1f\x8b\x08\x00", Content_Encoding="gzip"
        )
        assert (answer.status, answer.errors) == (400, ["error parsing JSON"])


class TestConnections:
    async def test_serve_one_request_after_the_other(self, service: Service) -> None:
        answers = parse(await service.raw(READ * 3 + READ[:-2] + CLOSE))
        assert [(status, "Connection" in headers) for status, headers, _ in answers] == [(200, False)] * 3 + [
            (200, True)
        ]

    async def test_of_http_1_0_close_unless_asked(self, service: Service) -> None:
        old = READ.replace(b"HTTP/1.1", b"HTTP/1.0")
        ((status, headers, _),) = parse(await service.raw(old))
        assert (status, headers["Connection"]) == (200, "close")
        kept = await service.raw(old[:-2] + b"Connection: keep-alive\r\n\r\n" + old)
        assert [headers["Connection"] for _, headers, _ in parse(kept)] == ["keep-alive", "close"]

    async def test_know_list_between_other_requests(self, service: Service) -> None:
        listing = head("LIST", "/v1/toy/names/")
        write = [head("PUT", "/v1/toy/names/a", "Content-Length: 12"), b'{"text":"x"}']
        reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
        for parts in ([listing], [READ], [listing], write, [listing[:40], listing[40:]], [listing]):
            for part in parts:
                writer.write(part)
                await asyncio.sleep(0.02)
            block = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert block.startswith(b"HTTP/1.1 200 ")
            await reader.readexactly(int(block.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
        writer.close()

    async def test_leave_a_body_alone_that_begins_as_a_list_request_does(self, service: Service) -> None:
        form = "Content-Type: application/x-www-form-urlencoded"
        reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
        writer.write(head("PUT", "/v1/toy/names/a", form, "Content-Length: 17"))
        await asyncio.sleep(0.05)
        writer.write(b"text=LI")
        await asyncio.sleep(0.05)
        writer.write(b"LIST /v1/x")
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200 ")
        assert service.tenant.asked[0].text == "LILIST /v1/x"
        writer.close()

    @pytest.mark.parametrize("cut", [0, 5])
    async def test_survive_a_body_that_comes_after_its_refusal(self, service: Service, cut: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
        writer.write(head("PUT", "/v1/nosuch", "Content-Length: 5"))
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 404 ")
        # Whether the rest of the body and the next request come together or apart.
        rest = b"01234" + head("LIST", "/v1/toy/names")
        writer.write(rest[:cut])
        await asyncio.sleep(0.05)
        writer.write(rest[cut:])
        rest = await asyncio.wait_for(reader.readuntil(b"HTTP/1.1 200 OK"), 5)
        assert b"no handler for route" in rest
        writer.close()


class TestStop:
    async def test_lets_requests_end_and_closes_the_rest(self, service: Service) -> None:
        started, release = asyncio.Event(), asyncio.Event()

        async def slow(_: Any) -> str:
            started.set()
            await release.wait()
            return "done"

        service.toys_answer(slow)
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", service.server.port)
        request = asyncio.create_task(service.call("GET", "/v1/toy/names/a", "data"))
        await started.wait()
        port = service.server.port
        stopping = asyncio.create_task(service.server.stop(5))
        await asyncio.sleep(0.1)
        assert not stopping.done()
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)
        release.set()
        answer = await request
        assert (answer.status, answer.json["data"]) == (200, {"result": "done"})
        await asyncio.wait_for(stopping, 5)
        assert await asyncio.wait_for(idle_reader.read(), 5) == b""
        idle_writer.close()

    async def test_reads_a_body_on_its_way(self, service: Service) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
        writer.write(head("PUT", "/v1/toy/names/a", "Content-Length: 12") + b'{"text"')
        await asyncio.sleep(0.05)
        stopping = asyncio.create_task(service.server.stop(5))
        await asyncio.sleep(0.05)
        writer.write(b':"x"}')
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 200 ")
        await asyncio.wait_for(stopping, 5)
        writer.close()

    async def test_does_not_wait_longer_than_the_grace(self, service: Service) -> None:
        started = asyncio.Event()

        async def endless(_: Any) -> None:
            started.set()
            await asyncio.Event().wait()

        service.toys_answer(endless)
        async with ClientSession() as session:
            url = f"http://127.0.0.1:{service.server.port}/v1/toy/names/a"
            request = asyncio.create_task(session.get(url, headers={"X-Vault-Token": "data"}))
            await asyncio.wait_for(started.wait(), 5)
            await asyncio.wait_for(service.server.stop(0.1), 2)
            await asyncio.gather(request, return_exceptions=True)

    async def test_twice_does_no_harm(self, service: Service) -> None:
        await service.server.stop(1)
        await service.server.stop(1)
