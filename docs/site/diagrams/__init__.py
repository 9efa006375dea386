"""Pictures of the documents' Mermaid diagrams, drawn once: a browser that shows the site then fetches no script.

`python -m docs.site.diagrams MERMAID_JS` draws those that are missing with headless Chromium and Mermaid's own bundle
(`npm pack mermaid@11`; `package/dist/mermaid.min.js`), and removes those that nothing shows any more. A picture is
named by the digest of its text, so that a test sees when one was not drawn anew.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
_DIAGRAM: Final = re.compile(r"```mermaid\n(.*?)```", re.DOTALL)


def text_of(fence: str) -> str | None:
    """Return the diagram of a block of code, if it is one."""
    found = _DIAGRAM.fullmatch(fence)
    return found[1] if found else None


def picture_of(diagram: str) -> Path:
    """Return where the picture of a diagram is kept."""
    return FOLDER / f"{hashlib.sha256(diagram.encode()).hexdigest()[:16]}.svg"


def diagrams() -> Iterator[tuple[Path, str]]:
    """Yield every diagram of the documents with its page."""
    for page in sorted(FOLDER.parents[1].rglob("*.md")):
        for diagram in _DIAGRAM.findall(page.read_text(encoding="utf-8")):
            yield page, diagram
