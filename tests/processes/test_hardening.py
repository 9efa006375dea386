"""What a process asks of the system, tried in a process of its own."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import resource
from kms_actors.processes.hardening import open_as_many_files_as_allowed

_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
open_as_many_files_as_allowed()
print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))
"""


def test_a_process_may_open_as_many_files_as_the_system_allows() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True\n"
