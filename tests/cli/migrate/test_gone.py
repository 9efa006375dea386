"""A server that goes while `kms-cli migrate` copies: the run ends, and does not wait for each thing that is left."""

from __future__ import annotations

import pytest
from aiohttp import web

from kms_actors.cli.migrate.findings import Report
from kms_actors.cli.migrate.server import Server, ServerFailed, ServerGone
from kms_actors.secret import SecretBytes
from tests.support.web import site


def test_a_server_that_is_away_ends_the_run_and_one_request_that_breaks_it_does_not() -> None:
    away = False

    async def answered(request: web.BaseRequest) -> web.Response:
        if away:
            return web.json_response({"errors": ["Vault is sealed"]}, status=503)
        if request.path == "/v1/sys/mounts":
            return web.json_response({"data": {}})
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    waits: list[float] = []
    with site(answered) as address:
        server, report = Server(address, SecretBytes(b"t"), waits.append), Report()
        with report.leaving("secret/broken"):
            server.read("secret/broken")
        assert [what for what, _ in report.left] == ["secret/broken"]
        away = True
        with pytest.raises(ServerGone, match="503 Vault is sealed"), report.leaving("secret/a"):
            server.read("secret/a")
        assert len(report.left) == 1
        waited = len(waits)
        with pytest.raises(ServerGone):  # as of another thread, which goes on with the next thing
            server.read("secret/b")
        assert len(waits) == waited
        server.close()
    assert issubclass(ServerGone, ServerFailed)
    assert sum(waits) < 200, "one thing alone is waited for so long"
