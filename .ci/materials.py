"""Write the bill of materials of a node, as CycloneDX 1.6 in JSON: `make sbom`, or `python .ci/materials.py FILE`.

It is made of the lock: each package with its version, the hashes of its files, and its licence as its own metadata
tell it, so it wants an environment in which they are installed; and of what others have written for the console, by
the manifest beside it. The same source and SOURCE_DATE_EPOCH give the same bytes. What is compiled into a package
(libsodium, OpenSSL, Rust's crates) is not listed.
"""

from __future__ import annotations

import base64
import datetime
import importlib.metadata
import json
import os
import re
import runpy
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement

from kms_actors import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Where the libraries of the console lie, as npm has them, with a manifest of what they are.
VENDOR = Path("http/kms_http/console/static/vendor")
_HASH = re.compile(r"sha256:([0-9a-f]{64})")
#: Licences by the classifiers, and the words, of packages that have no expression of SPDX.
_SPDX = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Apache 2": "Apache-2.0",
    "Apache v2": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "MIT License": "MIT",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "ASL 2.0": "Apache-2.0",
}
#: Of packages whose metadata are silent: what the file LICENSE of their source says.
_SILENT = {"biscuit-python": "Apache-2.0"}


def licence(package: str) -> str:
    """Return the licence of an installed package as an expression of SPDX; what it says itself where that is none."""
    if package in _SILENT:
        return _SILENT[package]
    told = importlib.metadata.metadata(package)
    expression = told.get("License-Expression")
    if expression:
        return expression
    classified = [each for each in told.get_all("Classifier") or () if each.startswith("License :: OSI")]
    for words in (*classified, (told.get("License") or "").strip()):
        if words in _SPDX:
            return _SPDX[words]
    return (told.get("License") or "unknown").strip().splitlines()[0]


def bill(*locks: str) -> str:
    """Return the bill of materials of locks, that of a node if none are named, and of the project itself."""
    entries = runpy.run_path(str(Path(__file__).with_name("lock.py")))["entries"]
    text = "".join((ROOT / lock).read_text(encoding="utf-8") for lock in locks or ("requirements.lock",))
    made = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.UTC)
    licences = LicenseFactory()
    own = _component(PROJECT["name"], __version__, [licences.make_from_string(PROJECT["license"])], "")
    own.type = ComponentType.APPLICATION
    packages: dict[str, Component] = {}
    for name, (version, hashes) in entries(text).items():
        told: list[License] = [licences.make_from_string(licence(name))]
        packages[name] = _component(name, version, told, hashes)
    manifest = (ROOT / VENDOR / "manifest.json").read_text(encoding="utf-8")
    scripts = [_script(each, licences) for each in json.loads(manifest)]
    components = [*packages.values(), *scripts]
    document = Bom(components=components, serial_number=uuid.uuid5(uuid.NAMESPACE_URL, text + manifest))
    document.metadata.component, document.metadata.timestamp = own, made
    document.register_dependency(own, components)
    for name, component in packages.items():
        needed = (Requirement(each) for each in importlib.metadata.requires(name) or ())
        names = {_plain(each.name) for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})}
        document.register_dependency(component, [packages[each] for each in sorted(names & packages.keys())])
    return str(make_outputter(document, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)) + "\n"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _component(name: str, version: str, licences: list[License], hashes: str) -> Component:
    url = PackageURL("pypi", None, name, version)
    found = [HashType(alg=HashAlgorithm.SHA_256, content=each) for each in _HASH.findall(hashes)]
    kind = ComponentType.LIBRARY
    return Component(
        name=name, version=version, type=kind, purl=url, bom_ref=str(url), licenses=licences, hashes=found
    )


def _script(told: dict[str, Any], licences: LicenseFactory) -> Component:
    """Return a library of the console: the hash of npm's archive, and those of the files that are taken of it."""
    url = PackageURL("npm", None, told["package"], told["version"])
    kind, _, digest = told["npm_integrity"].partition("-")
    if kind != "sha512":
        raise ValueError(f"{told['package']}: npm_integrity is no SHA-512")
    files = [
        Component(
            name=str(VENDOR.relative_to("http") / name),
            type=ComponentType.FILE,
            bom_ref=f"{url}#{name}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each["sha256"])],
        )
        for name, each in told["files"].items()
    ]
    return Component(
        name=told["package"],
        version=told["version"],
        type=ComponentType.LIBRARY,
        purl=url,
        bom_ref=str(url),
        licenses=[licences.make_from_string(told["licence"])],
        hashes=[HashType(alg=HashAlgorithm.SHA_512, content=base64.b64decode(digest).hex())],
        components=files,
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(bill(), encoding="utf-8")
