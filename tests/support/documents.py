"""Shell commands of documents, as a reader types them: in order, in the shells that the text says.

What a page shows of their output is compared, too: a block `output` behind commands holds what lines begin with that
they print, in this order; `…` stands for anything within a line, and alone for any lines. What cannot run in a test
says so to its readers, right above: `Not run by the tests: WHY.`
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: What a text says above a block that is for another shell; those that follow are for it as well.
OTHER_SHELL: Final = "In another terminal"
_LEFT_OUT: Final = re.compile(r"Not run by the tests: (.+?)\.\*?$", re.DOTALL)
_SHELL: Final = ("", "sh", "bash")
_OUTPUT: Final = "output"
#: Blocks that are neither commands nor what they print.
OTHER_BLOCKS: Final = frozenset({"text", "toml", "json", "yaml", "python", "hcl", "mermaid"})
_FILE_NAME: Final = re.compile(r"`([\w.-]+)`[^`]*:$")
_ANYTHING: Final = "…"


@dataclass
class Commands:
    """What a document has its readers type."""

    shells: list[str] = field(default_factory=list)  # one script each, in the order of their beginnings
    files: dict[str, str] = field(default_factory=dict)  # to be saved under these names, as the text says
    outputs: dict[str, str] = field(default_factory=dict)  # what is shown of the output of a block, by its place
    left_out: list[str] = field(default_factory=list)  # why blocks are not run


def commands(document: str, name: str) -> Commands:
    """Return the scripts and files of a document; each block says where it comes from when it runs."""
    found = Commands(shells=[""])
    end, place = 0, ""
    for block in _FENCE.finditer(document):
        above = document[end : block.start()].strip().split("\n\n")[-1]
        end = block.end()
        line = document.count("\n", 0, block.start()) + 1
        if block[1] in _SHELL:
            if reason := _LEFT_OUT.search(above):
                found.left_out.append(" ".join(reason[1].split()))
                continue
            if OTHER_SHELL in above:
                found.shells.append("")
            place = f"{name}:{line}"
            found.shells[-1] += f"echo '--- {place}'\n{block[2]}"
        elif block[1] == _OUTPUT:
            assert place, f"{name}:{line}: no commands print this"
            found.outputs[place] = block[2]
        elif saved := _FILE_NAME.search(above):
            found.files[saved[1]] = block[2]
        else:
            assert block[1] in OTHER_BLOCKS, f"{name}:{line}: neither commands nor {sorted(OTHER_BLOCKS)}"
    return found


def missing_output(found: Commands, printed: str) -> list[str]:
    """Return what a document shows of the output of its commands, and they have not printed."""
    parts = re.split(r"--- ([\w.-]+:\d+)$", printed, flags=re.MULTILINE)  # what comes before may lack its line end
    told = dict(zip(parts[1::2], parts[2::2], strict=True))
    return [
        f"{place}: {line}"
        for place, shown in found.outputs.items()
        if place in told
        for line in _missing_lines(shown, told[place])
    ]


def _missing_lines(shown: str, printed: str) -> list[str]:
    """Return the lines that are not found, each at the beginning of a line or right behind the one before.

    What is printed with `-field` has no line end where it is not printed to a terminal.
    """
    text = "\n".join(" ".join(line.split()) for line in printed.splitlines())
    missing, at = [], 0
    for line in (" ".join(line.split()) for line in shown.splitlines()):
        pattern = "[^\n]*".join(map(re.escape, line.split(_ANYTHING)))
        found = re.compile(pattern).match(text, at) or re.compile(f"^{pattern}", re.MULTILINE).search(text, at)
        if line in {"", _ANYTHING}:
            continue
        if found is None:
            missing.append(line)
        else:
            at = found.end()
    return missing
