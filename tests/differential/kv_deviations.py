"""Where KV's answers differ from those of the reference server on purpose: each with its reason.

`docs/compatibility.md` tells users the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from tests.differential.deviation import Deviation, first_of, other_wrong_type
from tests.differential.pair import Answer
from tests.differential.steps import Step


class Rewording(NamedTuple):
    """Texts of the reference that say the same as those of this project."""

    reason: str
    pattern: str
    becomes: str


#: Applied to the texts of both servers.
REWORDINGS: Final = (
    Rewording("OpenBao names its own command line", r"the OpenBao CLI, use 'bao ", "the Vault CLI, use 'vault "),
    Rewording("no text repeats a value that a caller sent", r"(?s)(for field \"[^\"]+\"): .*", r"\1"),
    Rewording(
        "custom metadata of a wrong type is told as by Vault",
        r"(?s)custom_metadata validation failed: '' .*",
        'error converting input for field "custom_metadata"',
    ),
    Rewording("custom metadata of a wrong type is told as by Vault", r"^Field validation failed: ", ""),
)

DEVIATIONS: Final = (
    Deviation(
        "there are between 0 and 10,000 versions to keep",
        lambda _, ours, reference: (
            ours == Answer(400, None, ("max_versions must be between 0 and 10000",))
            and (reference.status in (204, 404, 500) or "custom_metadata" in "".join(reference.errors))
        ),
        37,
    ),
    Deviation(
        "null data are an empty object, which can be patched",
        lambda step, ours, reference: (
            (step.method, ours.status, reference.status) == ("PATCH", 200, 500)
            and reference.errors == ("resource does not exist",)
        ),
        (
            Step("POST", "secret/data/example", {"data": None}),
            Step("PATCH", "secret/data/example", {"data": {"a": 1}}),
        ),
    ),
    other_wrong_type((Step("POST", "secret/config", {"max_versions": "x", "cas_required": "x"}),) * 20),
    Deviation(
        "numbers and booleans in custom metadata become texts in a patch, too, as when they are set",
        lambda step, ours, reference: (
            (step.method, ours.status, reference.status) == ("PATCH", 204, 500)
            and re.search(r"custom_metadata\S* of type string", "".join(reference.errors)) is not None
        ),
        24,
    ),
    Deviation(
        "a patch of metadata can let new versions live without end again",
        lambda step, ours, reference: (
            "/metadata/" in step.path
            and isinstance(ours.data, dict)
            and isinstance(reference.data, dict)
            and ours.data.get("delete_version_after") == "0s"
            and ours == reference._replace(data={**reference.data, "delete_version_after": "0s"})
        ),
        (
            Step("POST", "secret/metadata/w0/a", {"delete_version_after": "24h"}),
            Step("PATCH", "secret/metadata/w0/a", {"delete_version_after": "0s"}),
            Step("GET", "secret/metadata/w0/a"),
        ),
    ),
    Deviation(
        "a cas that is no number is told before the secret is looked for",
        lambda step, ours, reference: (
            (step.method, reference.status) == ("PATCH", 404)
            and ours == Answer(400, None, ("error parsing check-and-set parameter",))
        ),
        11,
    ),
    Deviation(
        "a list with metadata shows nothing of folders, also where a secret has the same name",
        lambda step, ours, reference: (
            "/detailed-metadata/" in step.path and ours != reference and ours == _folders_blank(reference)
        ),
        (
            Step("POST", "secret/data/w0/dir", {"data": {}}),
            Step("POST", "secret/data/w0/dir/a", {"data": {}}),
            Step("LIST", "secret/detailed-metadata/w0"),
        ),
    ),
    Deviation(
        "scans have pages, too",
        lambda step, ours, reference: (
            step.method == "SCAN" and "?" in step.path and set(ours.data["keys"]) < set(reference.data["keys"])
        ),
        (
            Step("POST", "secret/data/w0/dir", {"data": {}}),
            Step("POST", "secret/data/w0/dir/a", {"data": {}}),
            Step("SCAN", "secret/metadata/w0?after=dir&limit=1"),
        ),
    ),
)


def _folders_blank(answer: Answer) -> Answer:
    if not isinstance(answer.data, dict) or "key_info" not in answer.data:
        return answer
    shown = {name: {} if name.endswith("/") else each for name, each in answer.data["key_info"].items()}
    return answer._replace(data={**answer.data, "key_info": shown})


def explained(
    step: Step, ours: Answer, reference: Answer, seen: list[Deviation], deviations: Sequence[Deviation] = DEVIATIONS
) -> bool:
    """Tell whether the answers are equal, or differ by one of the deviations, which is added to those `seen`."""
    ours, reference = _same(step, ours), _same(step, reference)
    return ours == reference or first_of(deviations, step, ours, reference, seen) is not None


def _same(step: Step, answer: Answer) -> Answer:
    data: Any = answer.data
    if isinstance(data, dict):
        if "keys" in data:  # a scan is sorted here, and in the order of a walk there; lists are in one order
            data["keys"] = sorted(data["keys"]) if step.method == "SCAN" else data["keys"]
        for kind in ("data", "subkeys"):  # null data are an empty object, unless they were deleted
            if kind in data and data[kind] is None and "metadata" in data and not data["metadata"]["deletion_time"]:
                data[kind] = None if data["metadata"]["destroyed"] else {}
    return answer._replace(data=data, errors=_reworded(answer.errors), warnings=_reworded(answer.warnings))


def _reworded(texts: tuple[str, ...]) -> tuple[str, ...]:
    for _, pattern, becomes in REWORDINGS:
        texts = tuple(re.sub(pattern, becomes, text) for text in texts)
    return texts
