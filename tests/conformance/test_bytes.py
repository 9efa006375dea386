"""One connection, byte for byte, against this server and, as the control, the reference.

The kind: what a connection answers depends on how its bytes were cut, or on what lies behind a request. The parser
knows where each request ends, so each whole one is answered, whatever comes after it and in whatever pieces.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.conformance.byte_table import CLOSED, OPEN, ROWS, Row
from tests.support.api import Api
from tests.support.node import Node
from tests.support.reference import reference
from tests.support.tenant import make_tenant
from tests.support.tokens import Issuer

#: Seconds to wait for what must come, and for what must not.
_PATIENCE, _QUIET = 15.0, 0.2


class Server(NamedTuple):
    port: int
    token: str


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def ours(node: Node, issuer: Issuer) -> Server:
    return Server(node.port, make_tenant(node, issuer).root.token or "")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with reference(tmp_path_factory.mktemp("reference")) as server:
        yield Server(urlsplit(server.address).port or 0, server.token)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_bytes_in_and_answers_out(row: Row, ours: Server) -> None:
    answers, end = talk(row, ours, len(row.statuses))
    assert ([answer.status for answer in answers], end) == (list(row.statuses), row.end)
    for answer, text in zip(answers, row.texts, strict=False):
        assert text.replace("NAME", row.name) in answer.body.decode()
    check_stored(row, ours)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_reference_answers_as_the_table_says(row: Row, theirs: Server) -> None:
    statuses, end = row.reference or (row.statuses, row.end)
    answers, ended = talk(row, theirs, len(statuses))
    if row.races:
        assert (len(answers), ended) == (len(statuses), end)
        return
    assert ([answer.status for answer in answers], ended) == (list(statuses), end)
    assert (row.reference is None) == (not row.why)
    if row.reference is None:
        check_stored(row, theirs)


def check_stored(row: Row, server: Server) -> None:
    if row.stored is not None:
        answer = Api(f"http://127.0.0.1:{server.port}", server.token).get(f"secret/data/{row.name}")
        assert answer.status == (200 if row.stored else 404)


def talk(row: Row, server: Server, expected: int) -> tuple[list[Answer], str]:
    """Send the row's segments, and return the answers, and whether the connection is open then."""
    heads = [segment.startswith(b"HEAD ") for segment in row.segments]
    with socket.create_connection(("127.0.0.1", server.port), timeout=_PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = Stream(connection)
        with contextlib.suppress(ConnectionError):  # it may be closed while we still send
            for number, segment in enumerate(row.segments):
                if number and len(row.segments) < 9:
                    stream.wait()
                connection.sendall(
                    segment.replace(b"TOKEN", server.token.encode())
                    .replace(b"NAME", row.name.encode())
                    .replace(b"HOST", b"127.0.0.1:%d" % server.port)
                )
            if row.half_close:
                connection.shutdown(socket.SHUT_WR)
        answers: list[Answer] = []
        while (answer := stream.answer(bodiless=heads[0] and not answers, wait=len(answers) < expected)) is not None:
            answers.append(answer)
        return answers, CLOSED if stream.ended else OPEN


class Stream:
    """What comes back, answer by answer."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""
        self.ended = False

    def wait(self) -> None:
        """Give what was sent the time to be read on its own."""
        self._more(_QUIET)

    def answer(self, *, bodiless: bool, wait: bool) -> Answer | None:
        """Return the next answer, or None: the connection has ended, or none comes."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more(_PATIENCE if wait else _QUIET):
                assert not self._buffer
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        code = int(status.split()[1])
        if bodiless or code in {204, 304} or code < 200:
            return Answer(code, headers, b"")
        if "content-length" in headers:
            length = int(headers["content-length"])
            while len(self._buffer) < length:
                assert self._more(_PATIENCE)
            body, self._buffer = self._buffer[:length], self._buffer[length:]
        else:
            body = self._to_the_end(chunked="transfer-encoding" in headers)
        return Answer(code, headers, body)

    def _to_the_end(self, *, chunked: bool) -> bytes:
        """Return a body without a length: of the reference, up to its last chunk or the connection's end."""
        while self._more(_QUIET):
            pass
        body, end, rest = self._buffer.partition(b"0\r\n\r\n") if chunked else (self._buffer, b"", b"")
        self._buffer = rest if end else b""
        return body

    def _more(self, seconds: float) -> bool:
        if self.ended:
            return False
        self._connection.settimeout(seconds)
        try:
            data = self._connection.recv(65536)
        except TimeoutError:
            return False
        except ConnectionError:
            data = b""
        self._buffer += data
        self.ended = not data
        return bool(data)
