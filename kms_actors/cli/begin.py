"""Where `kms-layer` begins: by the C library's allocator, for small objects, too.

Python's own takes memory in arenas of a megabyte, and gives one back once nothing in it is in use. What many
requests have had for a moment lies between little that stays, so after minutes under attack a fifth of a process is
free, and stays with it. The C library gives back each free page (`processes.memory`). It is chosen by the environment
alone, before the interpreter starts. See decision 73.
"""

from __future__ import annotations

import os
import sys
from typing import Final

_CHOICE: Final = "PYTHONMALLOC"


def layer() -> None:
    """Run `kms-layer`; begun anew where nobody has chosen an allocator."""
    if "CS_GNU_LIBC_VERSION" in os.confstr_names and _CHOICE not in os.environ:
        os.execve(sys.executable, sys.orig_argv, {**os.environ, _CHOICE: "malloc"})  # noqa: S606 - this program
    from kms_actors.cli.layer import main  # noqa: PLC0415 - it takes long, and would be done twice

    main()
