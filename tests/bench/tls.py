"""Encryption over TLS, and new connections under TLS, on our node and the reference in turns, with one certificate.

A new connection has its own handshake, one request, and its end. The reference is a development server, in memory.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.bench import load
from tests.bench.cases import CASES, PLAIN, Case, Request
from tests.bench.processes import listener
from tests.bench.results import REFERENCE, Row, Series
from tests.bench.servers import Server, ours
from tests.support import certificates
from tests.support.api import Api
from tests.support.node import PATIENCE, free_port, wait_until
from tests.support.reference import bao, clean_environment

ENCRYPT: Final = "encrypt 32 B, TLS"
HANDSHAKE: Final = "new connection, TLS"

_ENCRYPT: Final = next(case for case in CASES if case.name == "encrypt 32 B")
_CASES: Final = (
    Case(ENCRYPT, _ENCRYPT.make),
    Case(HANDSHAKE, lambda _: Request("GET", "sys/health", closes=True)),
)
_CONFIGURATION: Final = """\
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_cert_file = "{certificate}"
  tls_key_file = "{key}"
  tls_disable_client_certs = true
}}
"""


def measure(workers: int, plan: load.Plan, *, against: bool) -> Iterator[list[Series]]:
    """Yield both rows; unless they are `against` the reference, ours alone."""
    with tempfile.TemporaryDirectory(prefix="kms-bench-tls-") as name:
        files = certificates.server().files(Path(name), "server")
        port = free_port()
        settings = (
            f'[[listeners]]\nhost = "127.0.0.1"\nport = {port}\n'
            f'[listeners.tls]\ncertificate_file = "{files[0]}"\nprivate_key_file = "{files[1]}"\n'
        )
        with (
            ours("sqlite", workers, listeners=settings) as plain,
            _reference(Path(name), files, wanted=against) as other,
        ):
            own = replace(plain, address=f"https://127.0.0.1:{port}", prepared_at=plain.address)
            servers = [own] if other is None else [own, other]
            for case in _CASES:
                yield from load.measure(case, servers, Row(case.name, "sqlite", workers), plan)


@contextlib.contextmanager
def _reference(directory: Path, files: tuple[Path, Path], *, wanted: bool) -> Iterator[Server | None]:
    program = bao() if wanted else None
    if program is None:
        yield None
        return
    plain, port = free_port(), free_port()
    configuration = directory / "tls.hcl"
    configuration.write_text(_CONFIGURATION.format(port=port, certificate=files[0], key=files[1]), encoding="utf-8")
    options = ["-dev", "-dev-root-token-id=root", "-dev-no-store-token", f"-dev-listen-address=127.0.0.1:{plain}"]
    process = subprocess.Popen(
        [str(program), "server", *options, "-config", str(configuration)],
        env=clean_environment(directory),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{plain}"
    try:
        wait_until(lambda: _answers(address), "the reference answers")
        made = Server(REFERENCE, f"https://127.0.0.1:{port}", listener(address), {PLAIN: "root"}, address)
        made.send("POST", "sys/mounts/transit", {"type": "transit"})
        yield made
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _answers(address: str) -> bool:
    with contextlib.suppress(OSError):
        return Api(address).get("sys/health").status == 200
    return False
