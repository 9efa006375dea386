"""What the site has, in the order of its navigation.

A page that is listed nowhere is in the last section, so that a new one is never lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple


class Section(NamedTuple):
    """A title, and pages: paths below `docs/` without their suffix; each may have a short title.

    Those that are not there are passed over. A path that ends with `*` stands for what else a folder has.
    """

    title: str
    pages: tuple[str | tuple[str, str], ...]


#: Whatever no section lists.
REMAINING: Final = "More"

SECTIONS: Final = (
    Section("Start", ("quick-start", ("guide", "Guide"), ("packages", "Packages"), "containers", "clients")),
    Section(
        "Tutorials",
        (
            "tutorials/command-line",
            "tutorials/hvac",
            "tutorials/narrowing",
            "tutorials/sops",
            "tutorials/cosign",
            "tutorials/auto-unseal",
            ("tutorials/migration", "Migration, a walk"),
            "tutorials/kubernetes-secrets",
            "tutorials/*",
            "kubernetes",
        ),
    ),
    Section(
        "Operating",
        (
            "operations",
            "operations/unseal",
            ("operator-keys", "Rekey and rotate"),
            ("backup", "Backup"),
            "operations/restore-drill",
            "operations/upgrade",
            "operations/disaster",
            ("operations/scaling", "Scaling"),
            "operations/*",
            "packages",
            "seals",
            "listeners",
            "tenants",
            "migration",
            "console",
        ),
    ),
    Section(
        "Using",
        (
            "tokens",
            "policies",
            "logins",
            ("identity", "Identities"),
            ("wrapping", "Wrapping"),
            "audit",
            ("audit-proofs", "Audit: proofs"),
        ),
    ),
    Section(
        "Reference",
        (
            ("config/configuration", "Configuration"),
            ("api/index", "API"),
            ("commands/kms-layer", "kms-layer"),
            ("commands/kms-cli", "kms-cli"),
            "metrics",
            ("commands", "Manners of the commands"),
            ("compatibility", "Compatibility"),
        ),
    ),
    Section(
        "Understanding",
        (
            ("architecture", "Architecture"),
            "security",
            "consistency",
            "performance",
            ("vectors", "Test vectors"),
            ("faults", "Faults"),
            ("decisions/index", "Decisions"),
        ),
    ),
    Section("Project", ("project/changelog", "project/contributing", ("project/tests", "Tests"))),
)
#: Pages that are reached from an index of their own.
_BELOW_AN_INDEX: Final = ("api/", "decisions/")


def sections(pages: Iterable[str]) -> list[Section]:
    """Return the sections with the pages that there are, each of them once; `index` is the home."""
    left = set(pages) - {"index"}
    listed = {_path(page) for section in SECTIONS for page in section.pages}
    found = []
    for section in SECTIONS:
        here: list[str | tuple[str, str]] = []
        for page in section.pages:
            path = _path(page)
            if path.endswith("*"):
                here += sorted(each for each in left - listed if each.startswith(path[:-1]))
            elif path in left:
                here.append(page)
        left -= {_path(page) for page in here}
        found.append(Section(section.title, tuple(here)))
    left = {page for page in left if not page.startswith(_BELOW_AN_INDEX)}
    found.append(Section(REMAINING, tuple(sorted(left))))
    return [section for section in found if section.pages]


def _path(page: str | tuple[str, str]) -> str:
    return page if isinstance(page, str) else page[0]


def tables_of_contents(found: Iterable[Section]) -> str:
    """Return the sections as MyST has them: not shown in the page, but in the navigation."""
    return "\n".join(
        f"```{{toctree}}\n:hidden:\n:caption: {section.title}\n\n" + "".join(map(_entry, section.pages)) + "```\n"
        for section in found
    )


def _entry(page: str | tuple[str, str]) -> str:
    return f"{page}\n" if isinstance(page, str) else f"{page[1]} <{page[0]}>\n"
