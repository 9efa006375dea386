"""Draw what is missing, with headless Chromium; see the package."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from docs.site.diagrams import FOLDER, diagrams, picture_of

_PAGE: Final = """<!DOCTYPE html><meta charset="utf-8"><body><script>{library}</script><script>
mermaid.initialize({{startOnLoad: false, theme: "neutral", htmlLabels: false,
  flowchart: {{htmlLabels: false, wrappingWidth: 340}}, fontFamily: "sans-serif", deterministicIds: true}});
mermaid.render("diagram", {diagram}).then(made => {{
  const out = document.createElement("pre");
  out.id = "made";
  out.textContent = new XMLSerializer().serializeToString(
    new DOMParser().parseFromString(made.svg, "text/html").querySelector("svg"));
  document.body.replaceChildren(out);
}});
</script></body>
"""


def main() -> None:
    """Draw all that is missing; remove what is not shown."""
    library = Path(sys.argv[1]).read_text(encoding="utf-8").replace("</script", "<\\/script")
    wanted = {picture_of(diagram): (page, diagram) for page, diagram in diagrams()}
    for picture, (page, diagram) in wanted.items():
        if not picture.exists():
            picture.write_text(_drawn(library, diagram), encoding="utf-8")
            print(f"{picture.name}: of {page.name}")  # noqa: T201
    for picture in FOLDER.glob("*.svg"):
        if picture not in wanted:
            picture.unlink()


def _drawn(library: str, diagram: str) -> str:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert browser is not None, "there is no Chromium to draw with"
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        page.write_text(_PAGE.format(library=library, diagram=json.dumps(diagram)), encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"]
        shown = subprocess.run(  # noqa: S603 - a browser, on a page of our own
            [browser, *options, "--virtual-time-budget=20000", "--dump-dom", page.as_uri()],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout
    made = re.search(r'<pre id="made">(.*?)</pre>', shown, re.DOTALL)
    assert made is not None, shown[-2000:]
    return html.unescape(made[1]) + "\n"


if __name__ == "__main__":
    main()
