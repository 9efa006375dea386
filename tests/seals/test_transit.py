"""The seal `transit`: against a server that answers what it is told to, and against the reference."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from structlog.testing import capture_logs

from kms_actors.cli.private_file import create_private
from kms_actors.config import SettingError, TransitSeal
from kms_actors.errors import IntegrityError, SealRefused, SealUnavailable
from kms_actors.seals.provider import Wrapped
from kms_actors.seals.transit import client, renewal
from kms_actors.seals.transit.provider import TransitProvider
from kms_actors.secret import SecretBytes
from tests.support.api import Api
from tests.support.node import free_port
from tests.support.reference import Reference, reference
from tests.support.web import make_authority, site

KEY: Final = SecretBytes(bytes(range(32)))
TOKEN: Final = "canary-token"

Answer = Callable[[str, Any], tuple[int, Any]]


def provider(*addresses: str, **more: Any) -> TransitProvider:
    tree = {"addresses": addresses, "key_name": "unseal", "token": TOKEN, "disable_renewal": True, **more}
    return TransitProvider(msgspec.convert({k: v for k, v in tree.items() if v is not None}, TransitSeal))


class Server:
    """What it was asked, and what it answers: by default like Transit with one key version."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.answer: Answer = good

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        body = json.loads(await request.read() or b"null")
        self.asked.append((request.method, request.path, dict(request.headers), body))
        status, answer = self.answer(request.path, body)
        if isinstance(answer, bytes):
            return web.Response(status=status, body=answer)
        return web.json_response(answer, status=status, headers={"Location": "/elsewhere"} if status == 307 else {})


def good(path: str, body: Any) -> tuple[int, Any]:
    if "/encrypt/" in path:
        return 200, {"data": {"ciphertext": "vault:v7:" + body["plaintext"]}}
    return 200, {"data": {"plaintext": body["ciphertext"].partition("v7:")[2]}}


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def address(server: Server) -> Iterator[str]:
    with site(server) as place:
        yield place


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT", 0.01)


async def test_it_sends_what_vault_wants_and_keeps_what_it_gives(server: Server, address: str) -> None:
    own = provider(address, mount_path="team/transit/", namespace="a/b")
    wrapped = await own.wrap(KEY)
    plaintext = base64.b64encode(KEY.reveal()).decode()
    assert wrapped == Wrapped("unseal:v7", f"vault:v7:{plaintext}".encode())
    assert await own.unwrap(wrapped) == KEY
    encrypt, decrypt = server.asked
    assert encrypt[:2] == ("POST", "/v1/team/transit/encrypt/unseal")
    assert encrypt[3] == {"plaintext": plaintext}
    assert decrypt[1] == "/v1/team/transit/decrypt/unseal"
    assert (encrypt[2]["X-Vault-Token"], encrypt[2]["X-Vault-Namespace"]) == (TOKEN, "a/b")
    assert encrypt[2]["X-Vault-Request"] == "true"


@pytest.mark.parametrize("status", [500, 503, 429, 473, 307])
async def test_an_address_that_gives_no_answer_is_passed_over(server: Server, address: str, status: int) -> None:
    own = provider(f"http://127.0.0.1:{free_port()}", address)
    tries = 0

    def twice(path: str, body: Any) -> tuple[int, Any]:
        nonlocal tries
        tries += 1
        return (status, {"errors": ["sealed"]}) if tries < 3 else good(path, body)

    server.answer = twice
    assert (await own.wrap(KEY)).key_id == "unseal:v7"
    assert [asked[1] for asked in server.asked] == ["/v1/transit/encrypt/unseal"] * 3


async def test_a_no_is_a_no_and_is_told_without_the_token(server: Server, address: str) -> None:
    server.answer = lambda *_: (403, {"errors": ["permission denied\n"]})
    with pytest.raises(SealRefused) as caught:
        await provider(address, address).wrap(KEY)
    assert str(caught.value) == "the server of the seal refuses (status 403): permission denied"
    assert len(server.asked) == 1


NO_ANSWERS: list[tuple[int, Any, str]] = [
    (503, {}, "it answers with status 503"),
    (200, b"<html>", "the answer is no JSON"),
    (200, b'{"data": "\xff"}', "the answer is no JSON"),
    (200, b"[" * 200_000, "the answer is no JSON"),
    (200, [], "the answer is no object"),
    (200, b'"' + b"x" * 300_000 + b'"', "the answer is too large"),
]


@pytest.mark.parametrize(("status", "body", "text"), NO_ANSWERS, ids=range(len(NO_ANSWERS)))
async def test_what_is_no_answer_is_told_with_its_address(
    server: Server, address: str, status: int, body: Any, text: str
) -> None:
    server.answer = lambda *_: (status, body)
    with pytest.raises(SealUnavailable) as caught:
        await provider(address).wrap(KEY)
    assert str(caught.value) == f"the server of the seal does not answer: {address}: {text}"
    assert len(server.asked) == client.ROUNDS


@pytest.mark.parametrize(
    "data",
    [{}, {"ciphertext": 5}, {"ciphertext": "vault:v0:AA=="}, {"ciphertext": "vault:v1:A A"}, {"ciphertext": ""}],
)
async def test_a_ciphertext_that_is_none_is_not_kept(server: Server, address: str, data: Any) -> None:
    server.answer = lambda *_: (200, {"data": data})
    with pytest.raises(SealUnavailable, match="gives no ciphertext"):
        await provider(address).wrap(KEY)


async def test_a_plaintext_that_is_no_key_is_not_taken(server: Server, address: str) -> None:
    wrapped = Wrapped("unseal:v7", b"vault:v7:AAAA")
    for data, kind in (
        ({"plaintext": "AAAA"}, IntegrityError),
        ({"plaintext": "!"}, SealUnavailable),
        ({}, SealUnavailable),
    ):
        server.answer = lambda *_, data=data: (200, {"data": data})
        with pytest.raises(kind):
            await provider(address).unwrap(wrapped)


async def test_a_server_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ROUNDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        own = client.Client([f"http://127.0.0.1:{port}"], lambda: SecretBytes(b"t"), seconds=0.1)
        with pytest.raises(SealUnavailable, match="no answer in time"):
            await own.post("x", {})


async def test_the_token_file_is_read_anew(server: Server, address: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    create_private(path, "first\n")
    own = provider(address, token=None, token_file=str(path))
    await own.check()
    await own.wrap(KEY)
    path.write_text("second")
    await own.wrap(KEY)
    assert [asked[2]["X-Vault-Token"] for asked in server.asked] == ["first", "second"]
    path.write_text("two words")
    with pytest.raises(SettingError, match=r"transit\.token_file`: a token has neither spaces nor") as caught:
        await own.wrap(KEY)
    assert "two words" not in str(caught.value)


async def test_no_proxy_of_the_environment_sees_the_token(
    server: Server, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    await provider(address).wrap(KEY)
    assert len(server.asked) == 1


class TestTls:
    @pytest.fixture
    def secured(self, server: Server, tmp_path: Path) -> Iterator[tuple[str, Path]]:
        made = make_authority(tmp_path)
        ca = tmp_path / "ca.pem"
        ca.write_text(made.pem)
        context = made.server_context()
        with site(server, context) as place:
            yield place, ca

    async def test_a_server_of_the_named_authority_is_trusted(self, secured: tuple[str, Path]) -> None:
        address, ca = secured
        own = provider(address, ca_file=str(ca))
        await own.check()
        assert await own.unwrap(await own.wrap(KEY)) == KEY

    async def test_one_of_nobody_is_not(self, secured: tuple[str, Path]) -> None:
        with pytest.raises(SealUnavailable, match="its certificate is not trusted"):
            await provider(secured[0]).wrap(KEY)

    async def test_the_name_of_the_server_may_be_given(self, secured: tuple[str, Path]) -> None:
        address, ca = secured
        own = provider(address, ca_file=str(ca), server_name="localhost")
        assert (await own.wrap(KEY)).key_id == "unseal:v7"
        with pytest.raises(SealUnavailable, match="its certificate is not trusted"):
            await provider(address, ca_file=str(ca), server_name="vault.example.com").wrap(KEY)

    async def test_a_server_that_wants_a_certificate_gets_ours(
        self, server: Server, tmp_path: Path, secured: tuple[str, Path]
    ) -> None:
        _, ca = secured
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "site.pem", tmp_path / "site.key")
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
        (tmp_path / "site.key").chmod(0o600)
        files = {
            "client_certificate_file": str(tmp_path / "site.pem"),
            "client_private_key_file": str(tmp_path / "site.key"),
        }

        def run() -> Iterator[str]:
            with site(server, context) as place:
                yield place

        places = run()
        address = await asyncio.to_thread(next, places)
        own = provider(address, ca_file=str(ca), **files)
        await own.check()
        assert (await own.wrap(KEY)).key_id == "unseal:v7"
        with pytest.raises(SealUnavailable):
            await provider(address, ca_file=str(ca)).wrap(KEY)
        await asyncio.to_thread(next, places, None)

    async def test_certificates_are_read_anew_as_the_token_is(
        self, secured: tuple[str, Path], tmp_path: Path
    ) -> None:
        """They are replaced while a node runs, which goes on renewing its token and may have to unseal itself."""
        address, ca = secured
        (tmp_path / "others").mkdir()
        pem = ca.read_text()
        ca.write_text(make_authority(tmp_path / "others").pem)
        own = provider(address, ca_file=str(ca))
        await own.check()
        with pytest.raises(SealUnavailable, match="its certificate is not trusted"):
            await own.wrap(KEY)
        ca.write_text(pem)
        assert await own.unwrap(await own.wrap(KEY)) == KEY
        ca.unlink()
        with pytest.raises(SettingError, match=r"transit\.ca_file`: .*no such file"):
            await own.wrap(KEY)

    async def test_files_that_are_none_are_named(self, secured: tuple[str, Path], tmp_path: Path) -> None:
        address, ca = secured
        with pytest.raises(SettingError, match=r"transit\.ca_file`: .*none: no such file"):
            await provider(address, ca_file=str(tmp_path / "none")).check()
        (tmp_path / "text").write_text("text")
        with pytest.raises(SettingError, match=r"transit\.ca_file`: .*text is no certificate in PEM"):
            await provider(address, ca_file=str(tmp_path / "text")).check()
        (tmp_path / "site.key").chmod(0o644)
        files = {"client_certificate_file": str(ca), "client_private_key_file": str(tmp_path / "site.key")}
        with pytest.raises(SettingError, match=r"transit\.client_private_key_file`: .* is open to others"):
            await provider(address, **files).check()
        (tmp_path / "site.key").chmod(0o600)
        with pytest.raises(SettingError, match=r"transit\.client_certificate_file`: .* or not that of the private"):
            await provider(address, **files).check()

    async def test_a_key_with_a_passphrase_is_refused_and_no_terminal_asked(
        self, secured: tuple[str, Path], tmp_path: Path
    ) -> None:
        address, ca = secured
        key = load_pem_private_key((tmp_path / "site.key").read_bytes(), None)
        locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        create_private(tmp_path / "locked.key", locked.decode())
        files = {
            "client_certificate_file": str(tmp_path / "site.pem"),
            "client_private_key_file": str(tmp_path / "locked.key"),
        }
        with pytest.raises(SettingError, match=r"transit\.client_certificate_file`: .* or that has a passphrase"):
            await provider(address, ca_file=str(ca), **files).check()


class TestRenewal:
    @pytest.fixture(autouse=True)
    def soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(renewal, "SHORTEST", 0.02)
        monkeypatch.setattr(renewal, "FIRST_WAIT", 0.02)
        monkeypatch.setattr(renewal, "LONGEST_WAIT", 0.02)

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)

    async def test_a_token_is_renewed_from_the_first_use_until_the_end(self, server: Server, address: str) -> None:
        def answer(path: str, body: Any) -> tuple[int, Any]:
            if path.endswith("lookup-self"):
                return 200, {"data": {"ttl": 1, "renewable": True}}
            return (200, {"auth": {"lease_duration": 0.01}}) if path.endswith("renew-self") else good(path, body)

        server.answer = answer
        own = provider(address, disable_renewal=False)
        await own.check()
        await asyncio.sleep(0.05)
        assert server.asked == []
        await own.wrap(KEY)

        def renewals() -> int:
            return sum(asked[1].endswith("renew-self") for asked in server.asked)

        await self._until(lambda: renewals() >= 3)
        await own.close()
        count = renewals()
        await asyncio.sleep(0.1)
        assert renewals() == count

    async def test_it_is_left_alone_where_somebody_else_renews_it(self, server: Server, address: str) -> None:
        own = provider(address)
        await own.wrap(KEY)
        await asyncio.sleep(0.1)
        assert [asked[1] for asked in server.asked] == ["/v1/transit/encrypt/unseal"]

    async def test_a_token_that_cannot_be_renewed_is_left_alone(self, server: Server, address: str) -> None:
        server.answer = lambda path, body: (
            (200, {"data": {"ttl": 0, "renewable": False}}) if path.endswith("lookup-self") else good(path, body)
        )
        own = provider(address, disable_renewal=False)
        await own.wrap(KEY)
        await self._until(lambda: len(server.asked) == 2)
        await asyncio.sleep(0.1)
        await own.close()
        assert len(server.asked) == 2

    async def test_another_token_in_the_file_is_renewed_by_its_own_time(
        self, server: Server, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The one before was not to be renewed for an hour."""
        monkeypatch.setattr(renewal, "LOOK_SECONDS", 0.05)
        server.answer = lambda path, body: (
            good(path, body)
            if not path.endswith("-self")
            else (200, {"data": {"ttl": 7200, "renewable": True}, "auth": {"lease_duration": 7200}})
        )
        path = tmp_path / "token"
        create_private(path, "first")
        own = provider(address, token=None, token_file=str(path), disable_renewal=False)
        await own.wrap(KEY)

        def renewed() -> list[str]:
            return [asked[2]["X-Vault-Token"] for asked in server.asked if asked[1].endswith("renew-self")]

        await self._until(lambda: renewed() == ["first"])
        path.write_text("second")
        await self._until(lambda: renewed() == ["first", "second"])
        path.write_text("")  # while it is written anew
        await asyncio.sleep(0.2)
        path.write_text("third")
        await self._until(lambda: renewed()[-1] == "third")
        await own.close()

    async def test_a_renewal_that_fails_is_told_once_and_goes_on(self, server: Server, address: str) -> None:
        fails = True

        def answer(path: str, body: Any) -> tuple[int, Any]:
            if not path.endswith("-self"):
                return good(path, body)
            if fails:
                return 403, {"errors": ["permission denied"]}
            return 200, {"data": {"ttl": 1, "renewable": True}, "auth": {"lease_duration": 60}}

        server.answer = answer
        own = provider(address, disable_renewal=False)
        with capture_logs() as logs:
            await own.wrap(KEY)
            await self._until(lambda: len(server.asked) > 4)
            fails = False
            await self._until(lambda: any("renewed again" in entry["event"] for entry in logs))
        await own.close()
        assert sum("cannot be renewed" in entry["event"] for entry in logs) == 1
        assert TOKEN not in str(logs)


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with reference(tmp_path_factory.mktemp("bao")) as started:
        api = Api(started.address, started.token)
        assert api.post("sys/mounts/transit", {"type": "transit"}).status == 204
        yield started


def key_of(bao: Reference, name: str, token: str | None = None, **more: Any) -> TransitProvider:
    return provider(bao.address, key_name=name, token=token or bao.token, **more)


def make_key(bao: Reference, name: str) -> Api:
    api = Api(bao.address, bao.token)
    assert api.post(f"transit/keys/{name}").status == 200
    return api


@pytest.fixture
def a_key(bao: Reference) -> Api:
    return make_key(bao, "one")


async def test_the_reference_wraps_and_unwraps_across_rotations(bao: Reference, a_key: Api) -> None:
    own = key_of(bao, "one")
    first = await own.wrap(KEY)
    assert first.blob.startswith(b"vault:v1:")
    assert await own.unwrap(first) == KEY
    assert (await asyncio.to_thread(a_key.post, "transit/keys/one/rotate")).status < 300
    second = await own.wrap(KEY)
    assert (first.key_id, second.key_id) == ("one:v1", "one:v2")
    assert await own.unwrap(first) == await own.unwrap(second) == KEY


async def test_the_reference_says_no_in_words(bao: Reference, a_key: Api) -> None:
    with pytest.raises(SealRefused, match=r"status 403.*permission denied"):
        await key_of(bao, "one", token="s.unknown").wrap(KEY)
    with pytest.raises(SealRefused, match="status 400"):
        await key_of(bao, "one").unwrap(Wrapped("one:v9", b"vault:v9:" + b"A" * 80))


async def test_a_token_of_the_reference_outlives_its_time(
    bao: Reference, a_key: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "LONGEST", 0.5)

    def token() -> Any:
        return a_key.post("auth/token/create", {"period": "3s", "policies": ["root"]}).json["auth"]["client_token"]

    renewed, left = await asyncio.to_thread(token), await asyncio.to_thread(token)
    keeping, leaving = key_of(bao, "one", renewed, disable_renewal=False), key_of(bao, "one", left)
    wrapped = await keeping.wrap(KEY)
    assert await leaving.unwrap(wrapped) == KEY
    async with asyncio.timeout(30):
        while True:
            try:
                await leaving.unwrap(wrapped)
            except SealRefused:
                break
            await asyncio.sleep(0.2)
    assert await keeping.unwrap(wrapped) == KEY
    await keeping.close()
