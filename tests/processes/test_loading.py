"""What a start does without, and what stays as it was."""

import os
import subprocess
import sys

import pytest

_PROGRAM = """
import gc, os
from kms_actors.processes.loading import modules_kept
named = os.environ.get("SSL_CERT_FILE")
before = gc.get_threshold()
with modules_kept():
    assert not gc.isenabled()
    import aiohttp.connector
assert gc.isenabled()
assert not any(found is aiohttp.connector.__dict__ for found in gc.get_objects())
later = []
assert any(found is later for found in gc.get_objects())
assert gc.get_threshold() == (*before[:2], 100)
assert aiohttp.connector._SSL_CONTEXT_VERIFIED.get_ca_certs() == []
assert os.environ.get("SSL_CERT_FILE") == named
"""


@pytest.mark.parametrize("named", [None, "/nowhere"])
def test_collections_pass_over_what_was_loaded_and_no_certificates_are_read(named: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "SSL_CERT_FILE"}
    if named is not None:
        environment["SSL_CERT_FILE"] = named
    subprocess.run([sys.executable, "-c", _PROGRAM], check=True, timeout=60, env=environment)
