"""What one connection is sent, byte for byte, and what must come back: from us, and from the reference server.

`TOKEN`, `NAME` and `HOST` stand for a token, a secret of the row's own, and a host. Where the reference differs, the
row has its answers too, and says why ours are right.
"""

from __future__ import annotations

from typing import Final, NamedTuple

OPEN, CLOSED = "open", "closed"


class Row(NamedTuple):
    """Segments in, statuses out, and whether the connection is open then.

    `stored`: whether the row's secret is there after. `races`: why the reference answers now so, now otherwise.
    """

    name: str
    segments: tuple[bytes, ...]
    statuses: tuple[int, ...]
    end: str = OPEN
    half_close: bool = False
    stored: bool | None = None
    texts: tuple[str, ...] = ()  # each in the answer of its place
    reference: tuple[tuple[int, ...], str] | None = None
    why: str = ""
    races: str = ""


#: Of the reference.
_GIVES_UP: Final = "it gives up the write of a client who sends no more, if it sees that in time"

_DATA: Final = b'{"data":{"a":"\xc3\xa9"}}'
_AUTHORISED: Final = b"Host: HOST\r\nX-Vault-Token: TOKEN\r\n"


def request(line: bytes, *headers: bytes, body: bytes | None = None, length: int | None = None) -> bytes:
    """Return a request; `body` comes with its length, or the one given."""
    if body is not None or length is not None:
        headers = (*headers, b"Content-Length: %d" % (len(body or b"") if length is None else length))
    return line + b"\r\n" + _AUTHORISED + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + (body or b"")


WRITE: Final = request(b"POST /v1/secret/data/NAME HTTP/1.1", body=_DATA)
HEALTH: Final = b"GET /v1/sys/health HTTP/1.1\r\nHost: HOST\r\n\r\n"
LIST: Final = request(b"LIST /v1/secret/metadata HTTP/1.1")
CHUNKED: Final = b"Transfer-Encoding: chunked"
_CHUNKS: Final = b"%x\r\n%b\r\n0\r\n\r\n" % (len(_DATA), _DATA)
_ABSOLUTE: Final = b"GET http://elsewhere:1/v1/sys/health HTTP/1.1\r\nHost: HOST\r\n\r\n"

_STRICT: Final = "a proxy in front may read it otherwise: what is not plainly framed ends the connection"

ROWS: Final = (
    # Whole requests, and what is behind them.
    Row("one", (WRITE,), (200,), stored=True),
    Row("write_and_a_stray_letter", (WRITE + b"x",), (200,), stored=True),
    Row(
        "write_and_a_nul",
        (WRITE + b"\0",),
        (200, 400),
        CLOSED,
        stored=True,
        reference=((200,), OPEN),
        why="nothing that follows could make it a request",
    ),
    Row("two_and_a_broken_one", (HEALTH + WRITE + b"G<T / HTTP/1.1\r\n\r\n",), (200, 200, 400), CLOSED, stored=True),
    Row("broken_and_one", (b"nonsense\r\n\r\n" + WRITE,), (400,), CLOSED, stored=False),
    Row("in_single_bytes", tuple(bytes([byte]) for byte in HEALTH), (200,)),
    Row("cut_in_the_body", (WRITE[:-5], WRITE[-5:] + HEALTH), (200, 200), stored=True),
    Row(
        "empty_lines_first", (b"\r\n\r\n" + HEALTH,), (200,), reference=((400,), CLOSED), why="RFC 9112, section 2.2"
    ),
    # Lengths.
    Row(
        "body_without_length",
        (request(b"POST /v1/secret/data/NAME HTTP/1.1") + _DATA,),
        (400, 400),
        CLOSED,
        stored=False,
        texts=("no data provided",),
        reference=((400,), OPEN),
        why="what follows cannot be a request",
    ),
    Row(
        "length_in_characters",
        (request(b"POST /v1/secret/data/NAME HTTP/1.1", body=_DATA, length=len(_DATA) - 1),),
        (400, 400),
        CLOSED,
        stored=False,
        texts=("JSON",),
        reference=((400,), OPEN),
        why="what follows cannot be a request",
    ),
    Row(
        "two_equal_lengths",
        (request(b"POST /v1/secret/data/NAME HTTP/1.1", b"Content-Length: %d" % len(_DATA), body=_DATA),),
        (400,),
        CLOSED,
        stored=False,
        reference=((200,), OPEN),
        why=_STRICT,
    ),
    Row(
        "two_lengths",
        (request(b"POST /v1/secret/data/NAME HTTP/1.1", b"Content-Length: 3", body=_DATA),),
        (400,),
        CLOSED,
        stored=False,
    ),
    Row(
        "a_length_with_a_sign",
        (request(b"POST /v1/secret/data/NAME HTTP/1.1", b"Content-Length: +20") + _DATA,),
        (400,),
        CLOSED,
        stored=False,
    ),
    Row(
        "length_and_chunks",
        (request(b"POST /v1/secret/data/NAME HTTP/1.1", CHUNKED, length=3) + _CHUNKS,),
        (400,),
        CLOSED,
        stored=False,
        reference=((200,), OPEN),
        why=_STRICT,
    ),
    # Chunks.
    Row(
        "chunks",
        (request(b"POST /v1/secret/data/NAME HTTP/1.1", CHUNKED) + _CHUNKS + HEALTH,),
        (200, 200),
        stored=True,
    ),
    Row(
        "chunks_with_extension_and_trailer",
        (
            request(b"POST /v1/secret/data/NAME HTTP/1.1", CHUNKED)
            + b"%x;a=b\r\n%b\r\n0\r\nTrailer: x\r\n\r\n" % (len(_DATA), _DATA)
            + HEALTH,
        ),
        (200, 200),
        stored=True,
    ),
    Row(
        "chunks_that_are_none",
        (request(b"POST /v1/secret/data/NAME HTTP/1.1", CHUNKED) + b"zz\r\n",),
        (400,),
        CLOSED,
        stored=False,
        reference=((500,), OPEN),
        why="it is the client's mistake",
    ),
    Row(
        "coding_and_chunks",
        (request(b"POST /v1/secret/data/NAME HTTP/1.1", b"Transfer-Encoding: gzip, chunked") + _CHUNKS,),
        (501,),
        CLOSED,
        stored=False,
    ),
    Row(
        "chunked_twice",
        (request(b"POST /v1/secret/data/NAME HTTP/1.1", CHUNKED, CHUNKED) + _CHUNKS,),
        (501,),
        CLOSED,
        stored=False,
    ),
    # Half-closed.
    Row("half_closed", (HEALTH,), (200,), CLOSED, half_close=True),
    Row("half_closed_write", (WRITE,), (200,), CLOSED, half_close=True, stored=True, races=_GIVES_UP),
    Row(
        "half_closed_after_two",
        (HEALTH + WRITE,),
        (200, 200),
        CLOSED,
        half_close=True,
        stored=True,
        races=_GIVES_UP,
    ),
    Row("half_closed_head", (HEALTH[:-2],), (400,), CLOSED, half_close=True),
    Row("half_closed_after_one_and_a_head", (HEALTH + HEALTH[:-2],), (200, 400), CLOSED, half_close=True),
    Row(
        "half_closed_body",
        (request(b"POST /v1/secret/data/NAME HTTP/1.1", body=_DATA, length=50),),
        (400,),
        CLOSED,
        half_close=True,
        stored=False,
        reference=((500,), CLOSED),
        why="it is the client's mistake",
    ),
    Row("nothing_and_half_closed", (b"",), (), CLOSED, half_close=True),
    # Methods.
    Row("list", (WRITE + LIST,), (200, 200), stored=True, texts=("", "NAME")),
    Row("list_as_second", (HEALTH + WRITE + LIST,), (200, 200, 200), stored=True, texts=("", "", "NAME")),
    Row("list_in_two", (WRITE + LIST[:2], LIST[2:]), (200, 200), stored=True, texts=("", "NAME")),
    Row(
        "list_as_chunk",
        (request(b"POST /v1/secret/data/NAME HTTP/1.1", CHUNKED), b"6\r\nLIST /\r\n0\r\n\r\n"),
        (400,),
    ),
    Row("link_is_no_list", (request(b"LINK /v1/secret/metadata HTTP/1.1"), HEALTH), (405, 200)),
    Row("methods_have_a_case", (request(b"list /v1/secret/metadata HTTP/1.1"), HEALTH), (405, 200)),
    Row("a_method_is_a_token", (request(b"G@T /v1/sys/health HTTP/1.1"),), (400,), CLOSED),
    # Targets.
    Row("absolute_form", (_ABSOLUTE,), (200,)),
    Row(
        "absolute_form_of_a_list", (WRITE + LIST.replace(b"/v1", b"http://HOST/v1"),), (200, 200), texts=("", "NAME")
    ),
    Row("absolute_form_of_a_write", (WRITE.replace(b"/v1", b"https://HOST/v1"),), (200,), stored=True),
    Row("absolute_form_without_host", (_ABSOLUTE.replace(b"Host: HOST\r\n", b""),), (400,), CLOSED),
    Row("utf8_in_the_query", (b"GET /v1/sys/health?x=\xc3\xa9 HTTP/1.1\r\nHost: HOST\r\n\r\n",), (200,)),
    Row(
        "no_utf8_in_the_query",
        (b"GET /v1/sys/health?x=\xff HTTP/1.1\r\nHost: HOST\r\n\r\n",),
        (400,),
        reference=((200,), OPEN),
        why="it could not be told back to the caller as it was",
    ),
    Row("utf8_in_the_path", (WRITE.replace(b"NAME", b"NAME\xc3\xa9"), HEALTH), (200, 200)),
    Row("a_space_in_the_path", (b"GET /v1/sys/ health HTTP/1.1\r\nHost: HOST\r\n\r\n",), (400,), CLOSED),
    Row(
        "encoded_slash",
        (WRITE.replace(b"NAME", b"NAME%2Fx") + LIST.replace(b"data", b"data/NAME"),),
        (200, 200),
        texts=("", '"x"'),
    ),
    Row(
        "no_escape",
        (request(b"GET /v1/secret/data/a%zz HTTP/1.1"),),
        (400,),
        reference=((400,), CLOSED),
        why="where it ends is not in doubt",
    ),
    # Headers.
    Row(
        "bearer",
        (b"GET /v1/auth/token/lookup-self HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer  TOKEN\r\n\r\n",),
        (200,),
    ),
    Row("no_host", (HEALTH.replace(b"Host: HOST\r\n", b""),), (400,), CLOSED),
    Row("two_hosts", (HEALTH.replace(b"\r\n\r\n", b"\r\nHost: HOST\r\n\r\n"),), (400,), CLOSED),
    Row("space_before_a_colon", (HEALTH.replace(b"\r\n\r\n", b"\r\nA : b\r\n\r\n"),), (400,), CLOSED),
    Row("control_in_a_header", (HEALTH.replace(b"\r\n\r\n", b"\r\nA: b\x01\r\n\r\n"),), (400,), CLOSED),
    Row(
        "folded",
        (HEALTH.replace(b"\r\n\r\n", b"\r\nA: b\r\n c\r\n\r\n"),),
        (400,),
        CLOSED,
        reference=((200,), OPEN),
        why=_STRICT,
    ),
    Row(
        "bare_line_feeds",
        (HEALTH.replace(b"\r\n", b"\n"),),
        (400,),
        CLOSED,
        reference=((200,), OPEN),
        why=_STRICT,
    ),
    Row("expectation", (WRITE.replace(b"\r\n\r\n", b"\r\nExpect: x\r\n\r\n"),), (417,), CLOSED, stored=False),
    Row(
        "continue",
        (request(b"POST /v1/secret/data/NAME HTTP/1.1", b"Expect: 100-continue", length=len(_DATA)), _DATA),
        (100, 200),
        stored=True,
    ),
    Row(
        "refused_instead_of_continue",
        (b"POST /v1/secret/data/NAME HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 20\r\n\r\n",),
        (403,),
        CLOSED,
        stored=False,
        reference=((100,), OPEN),
        why="nothing of a body is read before its sender may write",
    ),
    Row("namespace_root", (request(b"GET /v1/sys/mounts HTTP/1.1", b"X-Vault-Namespace: root"),), (200,)),
    Row("namespace_slash", (request(b"GET /v1/sys/mounts HTTP/1.1", b"X-Vault-Namespace: /"),), (200,)),
    Row(
        "headers_of_100_kb",
        (
            HEALTH.replace(b"\r\n\r\n", b"\r\n" + b"A: " + b"a" * 25_000 + b"\r\n")
            + (b"B: " + b"b" * 25_000 + b"\r\n") * 3
            + b"\r\n",
        ),
        (431,),
        CLOSED,
        reference=((200,), OPEN),
        why="64 kB are enough for any client, and anybody can send them",
    ),
    # Versions.
    Row("http_1_0", (HEALTH.replace(b"1.1", b"1.0"),), (200,), CLOSED),
    Row("http_1_2", (HEALTH.replace(b"1.1", b"1.2"),), (200,)),
    Row(
        "http_2",
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",),
        (505,),
        CLOSED,
        reference=((404,), CLOSED),
        why="RFC 9110, section 15.6.6",
    ),
    Row("http_0_9", (b"GET /v1/sys/health\r\n\r\n",), (400,), CLOSED),
    Row(
        "tls",
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",),
        (400,),
        CLOSED,
        reference=((), OPEN),
        why="no request begins so",
    ),
    # Answers without a body.
    Row("head", (HEALTH.replace(b"GET", b"HEAD") + HEALTH,), (200, 200)),
    Row("no_content", (HEALTH.replace(b"health", b"health?activecode=204") + HEALTH,), (204, 200)),
    Row("not_modified", (HEALTH.replace(b"health", b"health?activecode=304") + HEALTH,), (304, 200)),
)
