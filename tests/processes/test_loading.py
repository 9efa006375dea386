"""Modules are out of sight of collections, and nothing else is."""

import subprocess
import sys

_PROGRAM = """
import gc
from kms_actors.processes.loading import modules_kept
with modules_kept():
    assert not gc.isenabled()
    import kms_actors.errors
assert gc.isenabled()
assert not any(found is kms_actors.errors.__dict__ for found in gc.get_objects())
later = []
assert any(found is later for found in gc.get_objects())
"""


def test_what_is_loaded_is_not_looked_through_and_what_comes_later_is() -> None:
    subprocess.run([sys.executable, "-c", _PROGRAM], check=True, timeout=60)
