"""Build the Debian package of a node: `make deb`, or `python .ci/deb.py FOLDER`. One source gives the same bytes.

What a node needs lies in an environment of its own, /opt/clever-kms, made by the Python of the system that it is for
(PYTHON3, /usr/bin/python3), of the files whose hashes are in the locks. It runs there alone: Debian's own packages of
Python are neither seen nor needed. What is in it is told by a bill of materials. DEBFULLNAME and DEBEMAIL say who
maintains it, as for Debian's own tools. Wants dpkg-deb, and the environment of the tests, which makes that bill.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import runpy
import shutil
import string
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Final

from kms_actors import __version__

ROOT: Final = Path(__file__).parents[1]
EPOCH: Final = os.environ.get("SOURCE_DATE_EPOCH", "315532800")
PYTHON: Final = os.environ.get("PYTHON3", "/usr/bin/python3")
MAINTAINER: Final = f"{os.environ.get('DEBFULLNAME', 'Clever KMS')} <{os.environ.get('DEBEMAIL', 'root@localhost')}>"
PLACE: Final = "opt/clever-kms"
PROGRAMS: Final = ("kms-layer", "kms-cli")
_UNITS: Final = "usr/lib/systemd/system"
#: What is installed: a node, and what the way of Kubernetes and the seal `pkcs11` want besides, for there is no pip.
LOCKS: Final = ("requirements.lock", "requirements-extras.lock")

#: What lies where, beside the environment. `/etc` is the administrator's: an upgrade asks before it changes it.
FILES: Final = {
    "config/clever-kms.service": f"{_UNITS}/clever-kms.service",
    "config/clever-kms-kubernetes.service": f"{_UNITS}/clever-kms-kubernetes.service",
    "config/embedded.toml": "etc/clever-kms/node.toml",
    "config/node-1.toml": "usr/share/doc/clever-kms/examples/foundationdb.toml",
    "debian/clever-kms.sysusers": "usr/lib/sysusers.d/clever-kms.conf",
    "debian/clever-kms.tmpfiles": "usr/lib/tmpfiles.d/clever-kms.conf",
    "debian/copyright": "usr/share/doc/clever-kms/copyright",
    "README.md": "usr/share/doc/clever-kms/README.md",
    "CHANGELOG.md": "usr/share/doc/clever-kms/CHANGELOG.md.gz",
}
#: What it is made of, as CycloneDX.
MATERIALS: Final = "usr/share/doc/clever-kms/clever-kms.cdx.json"
#: Where each shell looks for what completes a program.
COMPLETIONS: Final = {
    "bash": "usr/share/bash-completion/completions/{program}",
    "zsh": "usr/share/zsh/vendor-completions/_{program}",
    "fish": "usr/share/fish/vendor_completions.d/{program}.fish",
}
#: Of the form that Debian's tools read; what changed stands in the project's own log.
_ENTRY: Final = """\
clever-kms ({version}) unstable; urgency=medium

  * See CHANGELOG.md.gz.

 -- {maintainer}  {date}
"""
SCRIPTS: Final = ("postinst", "prerm", "postrm")


def main(target: Path) -> None:
    """Put the package into a folder."""
    os.umask(0o022)
    target.mkdir(parents=True, exist_ok=True)
    architecture = _told("dpkg", "--print-architecture")
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch, "tree")
        _environment(tree / PLACE, Path(scratch))
        for source, place in FILES.items():
            _put(tree / place, (ROOT / source).read_bytes())
        entry = _ENTRY.format(version=__version__, maintainer=MAINTAINER, date=formatdate(int(EPOCH)))
        _put(tree / "usr/share/doc/clever-kms/changelog.gz", entry.encode())
        _put(tree / MATERIALS, runpy.run_path(str(ROOT / ".ci/materials.py"))["bill"](*LOCKS).encode())
        for program in PROGRAMS:
            link = tree / "usr/bin" / program
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(f"/{PLACE}/bin/{program}")
            for shell, place in COMPLETIONS.items():
                _put(tree / place.format(program=program), _completion(program, shell))
        _control(tree, architecture)
        for path in [tree, *tree.rglob("*")]:
            os.utime(path, (int(EPOCH), int(EPOCH)), follow_symlinks=False)
        name = f"clever-kms_{__version__}_{architecture}.deb"
        _run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(target / name))


def _environment(place: Path, scratch: Path) -> None:
    """Make the environment as if it stood where it will."""
    _run(PYTHON, "-m", "venv", "--without-pip", str(place))
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin/python"), "install"]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]
    _run(*pip, *quiet, "--require-hashes", *(f"--requirement={ROOT / lock}" for lock in LOCKS))
    _run(sys.executable, str(ROOT / ".ci/wheel.py"), str(scratch / "dist"))
    _run(*pip, *quiet, "--no-index", *map(str, (scratch / "dist").glob("*.whl")))
    for path in (place / "bin").iterdir():
        if path.is_symlink():
            continue
        if path.name in PROGRAMS:
            path.write_text(path.read_text(encoding="utf-8").replace(str(place), f"/{PLACE}"), encoding="utf-8")
        else:  # of other packages, and what activates an environment in a shell
            path.unlink()
    settings = place / "pyvenv.cfg"
    kept = [line for line in settings.read_text(encoding="utf-8").splitlines() if str(place) not in line]
    settings.write_text("\n".join([*kept, ""]), encoding="utf-8")
    for record in place.rglob("*.dist-info/direct_url.json"):  # where the wheel was built
        record.unlink()
    for record in place.rglob("*.dist-info/RECORD"):
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        record.write_text(
            "".join(each for each in lines if "direct_url" not in each and "../bin/" not in each), encoding="utf-8"
        )
    # By their source's hash, not its time: the same bytes, and no look at the source at a start.
    compiled = ["compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(place), "-p", f"/{PLACE}"]
    _run(PYTHON, "-m", *compiled, str(place / "lib"))


def _completion(program: str, shell: str) -> bytes:
    variable = f"_{program.upper().replace('-', '_')}_COMPLETE"
    own = Path(sys.executable).with_name(program)
    text = _told(str(own), **{variable: f"{shell}_source"})
    return f"{text}\n".encode()


def _control(tree: Path, architecture: str) -> None:
    folder = tree / "DEBIAN"
    folder.mkdir()
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    major, minor = map(int, re.findall(r"\d+", _told(PYTHON, "--version"))[:2])
    control = string.Template((ROOT / "debian/control").read_text(encoding="utf-8"))
    values = {
        "version": __version__,
        "maintainer": MAINTAINER,
        "architecture": architecture,
        "size": sum(path.stat().st_size for path in files) // 1024,
        "python": f"{major}.{minor}",
        "next": f"{major}.{minor + 1}",
    }
    _put(folder / "control", control.substitute(values).encode())
    _put(folder / "conffiles", "".join(_lines(files, tree, "etc")).encode())
    digests = (f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files)  # noqa: S324
    _put(folder / "md5sums", "".join(digests).encode())
    for name in SCRIPTS:
        _put(folder / name, (ROOT / "debian" / name).read_bytes())
        (folder / name).chmod(0o755)


def _lines(files: list[Path], tree: Path, top: str) -> Iterator[str]:
    return (f"/{path.relative_to(tree)}\n" for path in files if path.relative_to(tree).parts[0] == top)


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def _run(*command: str) -> None:
    subprocess.run(command, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH}, check=True)  # noqa: S603


def _told(*command: str, **environment: str) -> str:
    done = subprocess.run(  # noqa: S603
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()


if __name__ == "__main__":
    if shutil.which("dpkg-deb") is None:
        sys.exit("dpkg-deb is not here: this is built on Debian, or what is made of it")
    main(Path(sys.argv[1]))
