from __future__ import annotations

import csv
import io
import json
import os
import pty
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.cli import sender
from kms_actors.cli.client import main
from kms_actors.cli.rewrap.campaign import Campaign
from kms_actors.cli.rewrap.client import (
    ATTEMPTS,
    RewrapClient,
    Rewrapped,
    Wanted,
)
from kms_actors.cli.rewrap.csv_file import (
    MAX_RECORD,
    csv_reader,
)
from kms_actors.cli.rewrap.json_file import json_reader
from kms_actors.cli.rewrap.records import (
    Beside,
    Reader,
    Record,
    read_lines,
)
from kms_actors.cli.sender import MAX_WAIT, RequestFailed
from kms_actors.errors import InvalidRequest
from kms_actors.secret import SecretBytes
from tests.support.api import Api, b64, initialise, unseal
from tests.support.node import Node, sqlite_table, wait_until
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

OLD, NEW = "vault:v1:b2xk", "vault:v2:bmV3"


def records(reader: Reader, content: bytes) -> list[Record]:
    return list(reader(io.BytesIO(content)))


def rewritten(reader: Reader, content: bytes, new: str = NEW) -> bytes:
    """Return the file with each of its ciphertexts replaced."""
    return b"".join(record.encoded(new if record.ciphertext else None) for record in reader(io.BytesIO(content)))


# Where a ciphertext stands.


def test_lines_keep_white_space_and_ends() -> None:
    content = f"{OLD}\n\n  {OLD}\t\r\n \n{OLD}".encode()
    assert rewritten(read_lines, content) == content.replace(OLD.encode(), NEW.encode())
    assert [(record.line, record.ciphertext) for record in records(read_lines, content)] == [
        (1, OLD),
        (2, ""),
        (3, OLD),
        (4, ""),
        (5, OLD),
    ]


def test_csv_keeps_quotes_other_columns_and_line_ends() -> None:
    header = '\ufeffid,"the, name",card\r\n'.encode()
    rows = f'1,"x\n""y""\n",{OLD}\r\n2,,"{OLD}"\n3,é,\n\n4,z,{OLD}'.encode()
    new = rows.replace(OLD.encode(), NEW.encode())
    assert rewritten(csv_reader("card"), header + rows) == header + new
    assert rewritten(csv_reader("3"), rows) == new
    found = records(csv_reader("card"), header + rows)
    assert [record.line for record in found if record.ciphertext] == [2, 5, 8]


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (b"a\n1\n", ["the column is missing", "the column is missing"]),
        (b'a,b\n1,x"y"\n', ["", "the line is not CSV"]),
        (b'a,b\n1,"x\n2,y\n', ["", "the line is not CSV"]),
        ("a,b\n1,é\n".encode(), ["", "no ciphertext: letters beyond ASCII"]),
    ],
)
def test_csv_records_that_cannot_be_read_are_named_and_kept(content: bytes, problems: list[str]) -> None:
    found = records(csv_reader("2"), content)
    assert [record.problem for record in found] == problems
    assert b"".join(record.encoded() for record in found) == content


def test_a_quote_that_is_never_closed_does_not_hold_the_whole_file() -> None:
    line = b"1," + b"x" * 1000 + b"\n"
    found = records(csv_reader("2"), b'1,"x\n' + line * (3 * MAX_RECORD // 1000))
    assert found[0].problem == "the line is not CSV"
    assert len(found[0].text) <= MAX_RECORD + len(line)
    assert found[1].problem == ""


@pytest.mark.parametrize("header", ["id,name\n", "card,card\n", '"card\n'])
def test_a_csv_header_without_the_column_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequest, match="does not name that column once"):
        records(csv_reader("card"), header.encode())


def test_an_empty_file_has_no_records() -> None:
    for reader in (read_lines, csv_reader("card"), csv_reader("1"), json_reader("a")):
        assert records(reader, b"") == []


def test_json_keeps_layout_escapes_and_other_fields() -> None:
    line = '\t{"é\\u0041":1e400, "a" : {"x":[{"b":"no"}], "b": "%s" ,"c":12345678901234567890123}}\r\n'
    content = ("\ufeff" + line % OLD + "\n" + line % OLD).encode()
    assert rewritten(json_reader("a.b"), content) == content.replace(OLD.encode(), NEW.encode())


def test_of_equal_json_names_the_last_counts() -> None:
    content = b'{"a":"%s","b":{"a":"x"},"a":"%s"}\n' % (b"first", OLD.encode())
    assert rewritten(json_reader("a"), content) == content.replace(OLD.encode(), NEW.encode())


def test_a_json_text_with_escapes_is_read_and_kept_if_it_fails() -> None:
    content = b'{"a": "vault:v1:a\\/b\\u003d"}\n'
    (record,) = records(json_reader("a"), content)
    assert record.ciphertext == "vault:v1:a/b="
    assert record.encoded() == content
    assert record.encoded(NEW) == b'{"a": "%s"}\n' % NEW.encode()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"a":null}\n', ""),
        (b'{"a":""}\n', ""),
        (b'{"a":1}\n', "the field is no text"),
        (b'{"a":["vault:v1:x"]}\n', "the field is no text"),
        (b'{"b":"vault:v1:x"}\n', "the field is missing"),
        (b"[]\n", "the field is missing"),
        (b"{}\n", "the field is missing"),
        (b'{"a":"vault:v1:x"\n', "the line is not JSON"),
        (b'{"a":"vault:v1:x"} x\n', "the line is not JSON"),
        (b"\xff\xfe\n", "the line is not JSON"),
        (b"[" * 100_000 + b"\n", "the line is not JSON"),
    ],
)
def test_json_without_a_ciphertext_is_kept(line: bytes, problem: str) -> None:
    (record,) = records(json_reader("a"), line)
    assert (record.problem, record.ciphertext, record.encoded()) == (problem, "", line)


@given(st.binary(max_size=200))
def test_any_bytes_come_back_as_they_were(content: bytes) -> None:
    for reader in (read_lines, csv_reader("1"), json_reader("a")):
        assert b"".join(record.encoded() for record in records(reader, content)) == content


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)


@given(st.lists(st.tuples(_TEXT, st.sampled_from([OLD, "vault:v1:QQ=="]), _TEXT), max_size=6), st.booleans())
def test_order_and_other_cells_are_kept(rows: list[tuple[str, str, str]], quote_all: bool) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL).writerows(rows)
    result = rewritten(csv_reader("2"), out.getvalue().encode()).decode()
    assert list(csv.reader(io.StringIO(result, newline=""))) == [[a, NEW, b] for a, _, b in rows]


@given(st.lists(st.dictionaries(_TEXT, _TEXT | st.integers(), max_size=3), max_size=3))
def test_order_and_other_fields_are_kept(objects: list[dict[str, object]]) -> None:
    lines = "".join(json.dumps({**each, "é": {**each, "b": OLD}}) + "\n" for each in objects)
    result = rewritten(json_reader("é.b"), lines.encode()).decode()
    assert [json.loads(line) for line in result.splitlines()] == [
        {**each, "é": {**each, "b": NEW}} for each in objects
    ]


# What stands beside a ciphertext.

BESIDE = Beside("user", "a.b")


def beside(reader: Reader, content: str) -> list[tuple[str, str, str]]:
    return [(record.context, record.associated_data, record.problem) for record in records(reader, content.encode())]


def test_csv_cells_beside_a_ciphertext() -> None:
    content = f'card,user,a.b\n{OLD},"x""y",\n"{OLD}","é\n",z\n,,\n'
    encoded = [("", "", ""), (b64('x"y'), "", ""), (b64("é\n"), b64("z"), ""), ("", "", "")]
    assert beside(csv_reader("card", BESIDE._replace(encode=True)), content) == encoded
    assert beside(csv_reader("card", BESIDE), f"a.b,card,user\nWg==,{OLD},eA==\n")[1] == ("eA==", "Wg==", "")
    assert beside(csv_reader("1", Beside("3", "2")), f"{OLD},Wg==,eA==\n") == [("eA==", "Wg==", "")]
    assert beside(csv_reader("1", Beside("user")), f"card,user\n{OLD},eA==\n")[1] == ("eA==", "", "")


def test_json_fields_beside_a_ciphertext() -> None:
    lines = [
        {"c": OLD, "user": "x\n", "a": {"b": "é"}},
        {"c": OLD, "user": 12345678901234567890123, "a": {"b": None}},
        {"c": None},
    ]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    assert beside(json_reader("c", BESIDE._replace(encode=True)), content) == [
        (b64("x\n"), b64("é"), ""),
        (b64("12345678901234567890123"), "", ""),
        ("", "", ""),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ({"a": {"b": ""}}, "the context is missing"),
        ({"user": "", "a": {"b": ""}}, "the context is missing"),
        ({"user": None, "a": {"b": ""}}, "the context is missing"),
        ({"user": ["x"], "a": {"b": ""}}, "the context is no text"),
        ({"user": True, "a": {"b": ""}}, "the context is no text"),
        ({"user": "é", "a": {"b": ""}}, "the context is no base64"),
        ({"user": "eA=="}, "the associated data is missing"),
        ({"user": "eA==", "a": "x"}, "the associated data is missing"),
        ({"user": "eA==", "a": {"b": {}}}, "the associated data is no text"),
        ({"user": "eA==", "a": {"b": "é"}}, "the associated data is no base64"),
    ],
)
def test_json_without_what_should_stand_beside_a_ciphertext_is_kept(line: dict[str, object], problem: str) -> None:
    content = json.dumps({"c": OLD, **line}).encode()
    (record,) = records(json_reader("c", BESIDE), content)
    assert (record.problem, record.encoded()) == (problem, content)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (f"{OLD}", "the context is missing"),
        (f"{OLD},,x", "the context is missing"),
        (f"{OLD},x", "the associated data is missing"),
    ],
)
def test_csv_without_what_should_stand_beside_a_ciphertext_is_kept(row: str, problem: str) -> None:
    (record,) = records(csv_reader("1", Beside("2", "3")), row.encode())
    assert (record.problem, record.encoded()) == (problem, row.encode())


def test_a_csv_header_without_the_column_of_a_context_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="does not name that column once"):
        records(csv_reader("card", Beside("user")), b"card,name\n")


# The request.

Handle = Callable[[int], tuple[int, dict[str, str], bytes]]


@contextmanager
def server(handle: Handle) -> Iterator[str]:
    """Answer the n-th request by `handle(n)`."""
    calls = iter(range(1000))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, body = handle(next(calls))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}/"
        finally:  # a body that raises must not leave a server behind that keeps the process alive
            listening.shutdown()
            thread.join()


def rewrapped_by(handle: Handle, waited: list[float] | None = None) -> list[Rewrapped]:
    with server(handle) as address:
        sleep = ([] if waited is None else waited).append
        client = RewrapClient(address, SecretBytes(b"CANARY"), mount="transit", key="orders", sleep=sleep)
        try:
            return client.rewrap([Wanted(OLD)])
        finally:
            client.close()


GOOD = json.dumps({"data": {"batch_results": [{"ciphertext": NEW, "key_version": 2}]}}).encode()


def test_a_busy_server_is_asked_again_when_it_says() -> None:
    answers = [(503, {"Retry-After": "3"}), (503, {}), (429, {"Retry-After": "86400"}), (200, {})]
    waited: list[float] = []
    assert rewrapped_by(lambda call: (*answers[call], GOOD), waited) == [Rewrapped(NEW)]
    assert waited == [3, 2, MAX_WAIT]


def test_a_server_that_stays_busy_is_given_up() -> None:
    waited: list[float] = []
    with pytest.raises(RequestFailed, match=rf"^http://127.0.0.1:\d+: 503 Vault is sealed \({ATTEMPTS} attempts\)$"):
        rewrapped_by(lambda _: (503, {}, b'{"errors":["Vault is sealed"]}'), waited)
    assert len(waited) == ATTEMPTS - 1


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (403, b'{"errors":["permission denied"]}', "^403 permission denied$"),
        (302, b"", "^302 a redirect, which is not followed"),
        (
            400,
            b"Client sent an HTTP request to an HTTPS server.\n",
            "^400 Client sent an HTTP request to an HTTPS server.$",
        ),
        (404, b"<html><body>none</body></html>", "^404 Not Found$"),
        (500, b"\xff\x00" * 9000, "^500 Internal Server Error$"),
        (200, b"<html>", "not one of the Transit API"),
        (200, b'{"data":{"batch_results":[1]}}', "not one of the Transit API"),
        (200, b'{"data":{"batch_results":[]}}', "another number of results"),
    ],
)
def test_other_answers_end_the_campaign_at_once(status: int, body: bytes, text: str) -> None:
    waited: list[float] = []
    with pytest.raises(RequestFailed, match=text):
        rewrapped_by(lambda _: (status, {"Location": "http://127.0.0.1:1/"}, body), waited)
    assert waited == []


@pytest.mark.parametrize("text", ["", 'x"y', "vault:v2:a\n", "vault:v2:a,b"])
def test_what_is_no_ciphertext_is_never_written(text: str) -> None:
    body = json.dumps({"data": {"batch_results": [{"ciphertext": text}]}}).encode()
    assert rewrapped_by(lambda _: (200, {}, body)) == [Rewrapped(error="the answer holds no ciphertext")]


def test_nobody_answers() -> None:
    waited: list[float] = []
    client = RewrapClient("http://127.0.0.1:1", SecretBytes(b"t"), mount="m", key="k", sleep=waited.append)
    with pytest.raises(RequestFailed, match="no answer: connection refused"):
        client.rewrap([Wanted(OLD)])
    assert waited[:3] == [1, 2, 4]


def test_a_person_hears_why_there_is_nothing_to_see_and_a_program_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "MAX_WAIT", 0)
    words = ["transit", "rewrap", "--key", "k", "--address", "http://127.0.0.1:1"]
    failure = "http://127.0.0.1:1: no answer: connection refused"
    said = CliRunner().invoke(main, words, input=OLD, env={"VAULT_TOKEN": "t"}).stderr.splitlines()
    assert said[1:] == [f"{failure}; it is tried 8 times in all", f"Error: {failure} (8 attempts)"]
    told = CliRunner().invoke(main, [*words, "--json"], input=OLD, env={"VAULT_TOKEN": "t"}).stderr
    assert json.loads(told) == {"errors": [f"{failure} (8 attempts)"]}


def test_an_address_that_goes_on_to_the_api_is_told_where_it_ends() -> None:
    with pytest.raises(InvalidRequest, match="ends before /v1"):
        RewrapClient("http://127.0.0.1:1/v1/", SecretBytes(b"t"), mount="m", key="k")


@pytest.mark.parametrize(
    ("scheme", "reason"),
    [
        ("http", "the server does not speak HTTP"),
        ("https", "the server does not speak TLS: its address begins with http://"),
    ],
)
def test_why_there_is_no_answer_is_told_in_words(scheme: str, reason: str) -> None:
    def answer_rubbish(server: socket.socket) -> None:
        with server.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(b"rubbish\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer_rubbish, args=(server,), daemon=True).start()
        address = f"{scheme}://127.0.0.1:{server.getsockname()[1]}"
        waited: list[float] = []
        client = RewrapClient(address, SecretBytes(b"t"), mount="m", key="k", sleep=waited.append)
        with pytest.raises(RequestFailed, match=f"{address}: no answer: {reason}"):
            client.rewrap([Wanted(OLD)])
        assert waited == []  # it is another server than was meant, and will be


def test_a_server_that_wants_tls_says_nothing_and_its_address_is_told() -> None:
    def close(server: socket.socket) -> None:
        for _ in range(ATTEMPTS):
            with server.accept()[0] as connection:
                connection.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=close, args=(server,), daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        client = RewrapClient(address, SecretBytes(b"t"), mount="m", key="k", sleep=lambda _: None)
        with pytest.raises(RequestFailed, match=r"no answer: the server closed the connection; .*https://"):
            client.rewrap([Wanted(OLD)])


def test_a_host_that_nobody_knows_is_told_in_words_at_once() -> None:
    waited: list[float] = []
    client = RewrapClient("http://no-such-host.invalid", SecretBytes(b"t"), mount="m", key="k", sleep=waited.append)
    with pytest.raises(RequestFailed, match="no answer: no such host"):
        client.rewrap([Wanted(OLD)])
    assert waited == []


# Campaigns on a node.


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    issuer = Issuer()
    node = Node.for_issuer(tmp_path_factory.mktemp("node"), sqlite_table, issuer, forked=True)
    node.start()
    operator = Api(node.address, issuer.cluster_operator())
    unseal(operator, initialise(operator)["keys_base64"])
    tenant = make_tenant(node, issuer)
    tenant.user.post("transit/keys/orders")
    yield tenant
    node.stop()


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("VAULT_ADDR", "VAULT_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def encrypted(tenant: Tenant, plaintexts: list[str]) -> list[str]:
    """Return ciphertexts that a rotation then makes old."""
    items = [{"plaintext": b64(text)} for text in plaintexts]
    results = tenant.user.post("transit/encrypt/orders", {"batch_input": items}).data["batch_results"]
    tenant.user.post("transit/keys/orders/rotate")
    return [result["ciphertext"] for result in results]


def decrypted(tenant: Tenant, ciphertexts: list[str]) -> list[str]:
    """Return the plaintexts in base64; all ciphertexts must be of the latest version."""
    latest = tenant.user.get("transit/keys/orders").data["latest_version"]
    assert all(text.startswith(f"vault:v{latest}:") for text in ciphertexts)
    items = [{"ciphertext": text} for text in ciphertexts]
    results = tenant.user.post("transit/decrypt/orders", {"batch_input": items}).data["batch_results"]
    return [result["plaintext"] for result in results]


def environment(tenant: Tenant) -> dict[str, str]:
    assert tenant.user.token is not None
    return {"VAULT_ADDR": tenant.user.address, "VAULT_TOKEN": tenant.user.token}


def rewrap(tenant: Tenant, *arguments: str) -> Result:
    command = ["transit", "rewrap", "--key", "orders", *arguments]
    return CliRunner().invoke(main, command, env=environment(tenant))


def test_a_campaign_over_csv(tenant: Tenant) -> None:
    names = [f"n{number}" for number in range(25)]
    old = encrypted(tenant, names)
    rows = "".join(f'{name},"{text}"\r\n' for name, text in zip(names, old, strict=True))
    Path("in.csv").write_bytes(f"name,card\r\n{rows}".encode())
    arguments = ["--format", "csv", "--column", "card", "--batch", "7", "--output", "out.csv"]
    result = rewrap(tenant, "in.csv", *arguments)
    assert result.exit_code == 0, result.output
    assert "25 rewrapped, 0 failed, 1 without ciphertext" in result.stderr
    assert result.stdout == ""
    assert Path("out.csv").stat().st_mode & 0o777 == 0o600
    header, *lines = Path("out.csv").read_bytes().decode().splitlines(keepends=True)
    assert header == "name,card\r\n"
    found = [line.split(",") for line in lines]
    assert [name for name, _ in found] == names
    assert all(cell.startswith('"') and cell.endswith('"\r\n') for _, cell in found)
    assert decrypted(tenant, [cell[1:-3] for _, cell in found]) == [b64(name) for name in names]


def test_failing_lines_are_kept_named_and_told_by_the_exit_code(tenant: Tenant) -> None:
    (old,) = encrypted(tenant, ["x"])
    bad = [f'{{"c": "vault:v1:CANARY{number}"}}' for number in range(2)]
    lines = [bad[0], f'{{"c": "{old}"}}', "{}", bad[1]]
    Path("in").write_text("\n".join(lines))
    result = rewrap(tenant, "in", "--format", "json", "--field", "c", "--output", "out", "--batch", "3")
    assert result.exit_code == 1
    written = Path("out").read_text().split("\n")
    assert [written[0], written[2], written[3]] == [lines[0], lines[2], lines[3]]
    assert decrypted(tenant, [json.loads(written[1])["c"]]) == [b64("x")]
    assert "line 3: the field is missing\n" in result.stderr
    assert [line.partition(":")[0] for line in result.stderr.splitlines()[-4:-1]] == ["line 1", "line 3", "line 4"]
    assert "1 rewrapped, 3 failed, 0 without ciphertext" in result.stderr
    assert "CANARY" not in result.output


def test_from_standard_input_to_standard_output(tenant: Tenant) -> None:
    Path("token").write_text(f"{tenant.user.token}\n")
    (old,) = encrypted(tenant, ["x"])
    program = str(Path(sys.executable).with_name("kms-cli"))
    arguments = ["--key", "orders", "--address", tenant.user.address, "--token-file", "token"]
    done = subprocess.run(
        [program, "transit", "rewrap", *arguments],
        input=f"{old}\n\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    new, empty = done.stdout.splitlines()
    assert (decrypted(tenant, [new]), empty) == ([b64("x")], "")


def test_a_bar_shows_how_far_a_campaign_is(tenant: Tenant) -> None:
    Path("in").write_text("".join(f"{text}\n" for text in encrypted(tenant, ["x"] * 20)))
    program = str(Path(sys.executable).with_name("kms-cli"))
    command = [program, "transit", "rewrap", "--key", "orders", "in", "--output", "out", "--batch", "5"]
    ours, its = pty.openpty()
    try:
        subprocess.run(command, env={**os.environ, **environment(tenant)}, stderr=its, timeout=30, check=True)
        shown = os.read(ours, 100_000).decode()
    finally:
        os.close(its)
        os.close(ours)
    assert [f"{percent}%" in shown for percent in (0, 25, 50, 100)] == [True] * 4, shown
    assert "20 rewrapped" in shown


def test_a_version_can_be_chosen(tenant: Tenant) -> None:
    encrypted(tenant, ["x"])
    (old,) = encrypted(tenant, ["x"])
    Path("in").write_text(old)
    assert rewrap(tenant, "in", "--output", "out", "--key-version", "2").exit_code == 0
    assert Path("out").read_text().startswith("vault:v2:")


@pytest.mark.parametrize(("whole", "torn"), [(0, ""), (1, "vault:v1:AA"), (4, "  \n"), (5, ""), (6, "")])
def test_an_interrupted_campaign_goes_on(tenant: Tenant, whole: int, torn: str) -> None:
    names = [f"n{number}" for number in range(6)]
    old = encrypted(tenant, names)
    Path("in").write_text("".join(f"{text}\n" for text in old))
    assert rewrap(tenant, "in", "--output", "out").exit_code == 0
    before = Path("out").read_text().splitlines()[:whole]
    Path("out").write_text("".join(f"{text}\n" for text in before) + torn)
    result = rewrap(tenant, "in", "--output", "out", "--resume", "--batch", "2")
    assert result.exit_code == 0, result.output
    assert "6 rewrapped, 0 failed" in result.stderr
    after = Path("out").read_text().splitlines()
    assert after[:whole] == before
    assert decrypted(tenant, after) == [b64(name) for name in names]


def test_what_failed_before_the_interruption_is_told_again(tenant: Tenant) -> None:
    (old,) = encrypted(tenant, ["x"])
    Path("in").write_text(f"bad\n{old}\n")
    Path("out").write_text("bad\n")
    result = rewrap(tenant, "in", "--output", "out", "--resume")
    assert result.exit_code == 1
    assert "line 1: invalid ciphertext: no prefix\n1 rewrapped, 1 failed" in result.stderr


def test_what_failed_before_an_interruption_and_now_works_is_done(tenant: Tenant) -> None:
    names = [f"n{number}" for number in range(5)]
    old = encrypted(tenant, names)
    Path("in").write_text("".join(f"{text}\n" for text in old))
    assert rewrap(tenant, "in", "--output", "out").exit_code == 0
    done = Path("out").read_text().splitlines()
    Path("out").write_text("".join(f"{text}\n" for text in [done[0], old[1], done[2], old[3]]))
    result = rewrap(tenant, "in", "--output", "out", "--resume", "--batch", "2")
    assert "5 rewrapped, 0 failed" in result.stderr
    after = Path("out").read_text().splitlines()
    assert after[0] == done[0]
    assert decrypted(tenant, after) == [b64(name) for name in names]


def test_progress_adds_up_to_the_input(tmp_path: Path) -> None:
    content = f"{OLD}\n\nbad\n{OLD}\n".encode()
    for written in (b"", f"{NEW}\n\nbad\nvault:v2".encode()):
        (tmp_path / "out").write_bytes(written)
        seen: list[int] = []
        with (tmp_path / "out").open("r+b") as output:
            campaign = Campaign(
                rewrap=lambda wanted: [
                    Rewrapped(NEW) if item.ciphertext == OLD else Rewrapped(error="no") for item in wanted
                ],
                output=output,
                report=lambda *_: None,
                progress=seen.append,
                batch=2,
                durable=True,
            )
            campaign.run(campaign.resume(read_lines(io.BytesIO(content)), read_lines))
        assert sum(seen) == len(content)
        assert (campaign.counts.rewrapped, campaign.counts.failed, campaign.counts.untouched) == (2, 1, 1)
        assert (tmp_path / "out").read_bytes() == content.replace(OLD.encode(), NEW.encode())


KINDS = {
    "derived": {"derived": True},
    "convergent": {"derived": True, "convergent_encryption": True},
    "bound": {},
}


@pytest.fixture(scope="module")
def kinds(tenant: Tenant) -> Tenant:
    for name, options in KINDS.items():
        tenant.user.post(f"transit/keys/{name}", {**options, "type": "chacha20-poly1305"})
    return tenant


def sealed_rows(tenant: Tenant, key: str, users: list[str], data: list[str]) -> list[str]:
    """Return ciphertexts of the users' names, bound to these and to data; a rotation then makes them old."""
    items = [
        {"plaintext": b64(user), "context": b64(user), **({"associated_data": b64(each)} if each else {})}
        for user, each in zip(users, data, strict=True)
    ]
    results = tenant.user.post(f"transit/encrypt/{key}", {"batch_input": items}).data["batch_results"]
    tenant.user.post(f"transit/keys/{key}/rotate")
    return [result["ciphertext"] for result in results]


def opened_rows(tenant: Tenant, key: str, texts: list[str], users: list[str], data: list[str]) -> list[str]:
    latest = tenant.user.get(f"transit/keys/{key}").data["latest_version"]
    assert all(text.startswith(f"vault:v{latest}:") for text in texts)
    items = [
        {"ciphertext": text, "context": b64(user), "associated_data": b64(each)}
        for text, user, each in zip(texts, users, data, strict=True)
    ]
    results = tenant.user.post(f"transit/decrypt/{key}", {"batch_input": items}).data["batch_results"]
    return [result["plaintext"] for result in results]


def rewrap_by(tenant: Tenant, key: str, *arguments: str, given: str | None = None) -> Result:
    command = ["transit", "rewrap", "--key", key, *arguments]
    return CliRunner().invoke(main, command, env=environment(tenant), input=given)


@pytest.mark.parametrize("key", KINDS)
def test_contexts_and_associated_data_in_csv(kinds: Tenant, key: str) -> None:
    users, data = ["ann", "bob", "ann", "zoë"], ["1", "", "3", "4"]
    old = sealed_rows(kinds, key, users, data)
    rows = "".join(f'{text},"{user}",{each}\n' for text, user, each in zip(old, users, data, strict=True))
    Path("in.csv").write_text(f"card,user,id\n{rows}")
    places = ["--format", "csv", "--column", "card", "--context", "user", "--associated-data", "id", "--encode"]
    result = rewrap_by(kinds, key, "in.csv", *places, "--output", "out.csv", "--batch", "3")
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    found = list(csv.reader(Path("out.csv").read_text().splitlines()))[1:]
    assert [row[1:] for row in found] == [list(row) for row in zip(users, data, strict=True)]
    assert opened_rows(kinds, key, [row[0] for row in found], users, data) == [b64(user) for user in users]


@pytest.mark.parametrize("key", KINDS)
def test_contexts_and_associated_data_in_json_from_standard_input(kinds: Tenant, key: str) -> None:
    users, data = ["ann", "bob"], ["1", ""]
    old = sealed_rows(kinds, key, users, data)
    lines = [
        json.dumps({"card": {"number": text}, "user": b64(user), "id": b64(each)})
        for text, user, each in zip(old, users, data, strict=True)
    ]
    places = ["--format", "json", "--field", "card.number", "--context", "user", "--associated-data", "id"]
    result = rewrap_by(kinds, key, *places, given="\n".join(lines))
    assert result.exit_code == 0, result.stderr
    texts = [json.loads(line)["card"]["number"] for line in result.stdout.splitlines()]
    assert opened_rows(kinds, key, texts, users, data) == [b64(user) for user in users]


def test_records_with_a_wrong_context_or_none_fail_alone(kinds: Tenant) -> None:
    users = ["ann", "bob", "eve", "joe"]
    old = sealed_rows(kinds, "derived", users, [""] * 4)
    rows = [f"{text},{user}" for text, user in zip(old, ["ann", "", "CANARY", "joe"], strict=True)]
    rows += [f"{old[0]}", "vault:v1:AAAA,ann"]
    Path("in.csv").write_text("\n".join(rows))
    places = ["--format", "csv", "--column", "1", "--context", "2", "--encode"]
    result = rewrap_by(kinds, "derived", "in.csv", *places, "--output", "out.csv")
    assert result.exit_code == 1
    assert "2 rewrapped, 4 failed" in result.stderr
    errors = result.stderr.splitlines()[-5:-1]
    assert [error.partition(":")[0] for error in errors] == ["line 2", "line 3", "line 5", "line 6"]
    assert errors[0] == "line 2: the context is missing"
    assert "message authentication failed" in errors[1]
    assert "CANARY" not in result.stderr
    written = Path("out.csv").read_text().split("\n")
    assert [written[place] for place in (1, 2, 4, 5)] == [rows[place] for place in (1, 2, 4, 5)]
    texts = [written[place].partition(",")[0] for place in (0, 3)]
    assert opened_rows(kinds, "derived", texts, ["ann", "joe"], ["", ""]) == [b64("ann"), b64("joe")]


def test_a_campaign_of_convergent_ciphertexts_goes_on_though_some_are_equal(kinds: Tenant) -> None:
    users = ["ann", "bob", "eve"]
    sealed_rows(kinds, "convergent", users, [""] * 3)
    items = [{"plaintext": b64(user), "context": b64(user)} for user in users]
    new = kinds.user.post("transit/encrypt/convergent", {"batch_input": items}).data["batch_results"]
    content = "".join(f"{result['ciphertext']},{user}\n" for result, user in zip(new, users, strict=True))
    Path("in.csv").write_text(content)
    Path("out.csv").write_text(content.splitlines(keepends=True)[0])
    places = ["--format", "csv", "--column", "1", "--context", "2", "--encode"]
    result = rewrap_by(kinds, "convergent", "in.csv", *places, "--output", "out.csv", "--resume")
    assert (result.exit_code, Path("out.csv").read_text()) == (0, content), result.stderr
    assert "3 rewrapped, 0 failed" in result.stderr


def test_a_campaign_that_was_killed_goes_on(tenant: Tenant) -> None:
    names = [f"n{number}" for number in range(3000)]
    old = encrypted(tenant, names)
    Path("in").write_text("".join(f"{text}\n" for text in [*old, "bad"]))
    program = str(Path(sys.executable).with_name("kms-cli"))
    command = [program, "transit", "rewrap", "--key", "orders", "in", "--output", "out", "--batch", "5"]
    running = subprocess.Popen(command, env={**os.environ, **environment(tenant)}, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: Path("out").exists() and Path("out").stat().st_size > 5000, "nothing was written")
    finally:
        running.kill()
        running.wait()
    before = Path("out").read_bytes()
    whole = before[: before.rfind(b"\n") + 1]
    assert 0 < whole.count(b"\n") < len(names)
    result = rewrap(tenant, "in", "--output", "out", "--resume")
    assert "3000 rewrapped, 1 failed" in result.stderr
    assert "line 3001: " in result.stderr
    after = Path("out").read_bytes()
    assert after.startswith(whole)
    assert decrypted(tenant, after.decode().splitlines()[:-1]) == [b64(name) for name in names]


@pytest.mark.parametrize("torn", ["card,na", 'card,name\n"vault', f'card,name\n{NEW},"\n'])
def test_a_torn_csv_record_is_written_anew(tenant: Tenant, torn: str) -> None:
    (old,) = encrypted(tenant, ["x"])
    Path("in").write_text(f'card,name\n{old},"\nx"\n')
    Path("out").write_text(torn)
    result = rewrap(tenant, "in", "--output", "out", "--resume", "--format", "csv", "--column", "card")
    assert result.exit_code == 0, result.output
    (card, name), *_ = list(csv.reader(Path("out").read_text().splitlines(keepends=True)))[1:]
    assert (decrypted(tenant, [card]), name) == ([b64("x")], "\nx")


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ('{"id":2,"c":"v"}\n{"id":2,"c":"v"}\n', "the output is not of this input: line 1 differs"),
        ('{"id":1,"c":"v"}\n{"id":2,"c":"v"}\n', "the output is not of this input: line 2 differs"),
    ],
)
def test_the_output_of_another_input_is_refused_and_kept(tenant: Tenant, written: str, text: str) -> None:
    Path("in").write_text('{"id":1,"c":"v"}\n')
    Path("out").write_text(written)
    result = rewrap(tenant, "in", "--output", "out", "--resume", "--format", "json", "--field", "c")
    assert (result.exit_code, Path("out").read_text()) == (2, written)
    assert f"Error: in: {text}" in result.stderr


def test_a_refused_request_stops_and_says_how_to_go_on(tenant: Tenant) -> None:
    Path("in").write_text(OLD)
    result = rewrap(tenant, "in", "--output", "out", "--mount", "nothing")
    assert result.exit_code == 1
    assert "404" in result.stderr
    assert "go on with --resume" in result.stderr


def test_failures_are_told_also_if_the_server_ends_the_campaign() -> None:
    answers: list[tuple[int, dict[str, str], bytes]]
    answers = [(200, {}, b'{"data":{"batch_results":[{"error":"too old"}]}}'), (403, {}, b'{"errors":["no"]}')]
    Path("in").write_text(f"{OLD}\n{OLD}\n")
    with server(lambda call: answers[call]) as address:
        variables = {"VAULT_ADDR": address, "VAULT_TOKEN": "t"}
        command = ["transit", "rewrap", "--key", "k", "in", "--batch", "1"]
        result = CliRunner().invoke(main, command, env=variables)
    assert result.exit_code == 1
    assert "line 1: too old\n" in result.stderr
    assert "403 no" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["in", "--output", "in"], 1, "in: file exists"),
        (["in", "--output", "in", "--resume"], 2, "the output is the input"),
        (["in", "--resume"], 2, "--resume needs --output"),
        (["in", "--format", "csv"], 2, "--column is for its format only"),
        (["in", "--field", "a"], 2, "--field is for its format only"),
        (["in", "--context", "a"], 2, "are for CSV and JSON"),
        (["in", "--associated-data", "a"], 2, "are for CSV and JSON"),
        (["in", "--encode"], 2, "are for CSV and JSON"),
        (["in", "--batch", "10001"], 2, "10001"),
        (["in", "--address", "ftp://x"], 2, "the address is not like"),
        (["in", "--address", "http://x:port"], 2, "the address is not like"),
        (["in", "--token-file", "in"], 2, "no token"),
        (["in", "--token-file", "nowhere"], 1, "nowhere: no such file"),
        (["nowhere"], 2, "No such file"),
    ],
)
def test_wrong_usage(arguments: list[str], code: int, text: str) -> None:
    Path("in").write_text("CANARY\x00")
    address = {"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": "t"}
    result = CliRunner().invoke(main, ["transit", "rewrap", "--key", "k", *arguments], env=address)
    assert (result.exit_code, text in result.stderr) == (code, True), result.stderr
    assert "CANARY" not in result.output
    assert Path("in").read_text() == "CANARY\x00"
