"""Shell commands of documents, as a reader types them: in order, in the shells that the text says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: What a text says above a block that is for another shell; those that follow are for it as well.
OTHER_SHELL: Final = "In another terminal"
_SHELL: Final = ("", "sh", "bash")
_FILE_NAME: Final = re.compile(r"`([\w.-]+)`[^`]*:$")


@dataclass
class Commands:
    """What a document has its readers type."""

    shells: list[str] = field(default_factory=list)  # one script each, in the order of their beginnings
    files: dict[str, str] = field(default_factory=dict)  # to be saved under these names, as the text says


def commands(document: str, name: str) -> Commands:
    """Return the scripts and files of a document; each block says where it comes from when it runs."""
    found = Commands(shells=[""])
    end = 0
    for block in _FENCE.finditer(document):
        above = document[end : block.start()].strip().split("\n\n")[-1]
        end = block.end()
        if block[1] in _SHELL:
            if OTHER_SHELL in above:
                found.shells.append("")
            line = document.count("\n", 0, block.start()) + 1
            found.shells[-1] += f"echo '--- {name}:{line}'\n{block[2]}"
        elif saved := _FILE_NAME.search(above):
            found.files[saved[1]] = block[2]
    return found
