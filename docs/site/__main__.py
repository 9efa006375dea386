"""Build the site in `dist/site`. What Sphinx would only warn of fails: broken links, missing anchors, lost pages."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx

from docs.site.staging import ROOT, stage


def main() -> int:
    """Stage the pages, and have them rendered; return the exit code."""
    staged, built = ROOT / "build/site", ROOT / "dist/site"
    shutil.rmtree(built, ignore_errors=True)
    stage(staged)
    options = ["-b", "html", "-c", str(Path(__file__).parent), "-d", str(ROOT / "build/site-doctrees"), "-j", "auto"]
    code: int = sphinx([*options, "-E", "-W", "--keep-going", "-q", str(staged), str(built)])
    if code == 0:
        print(f"{built}: python3 -m http.server --directory {built.relative_to(ROOT)} 8000")  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
