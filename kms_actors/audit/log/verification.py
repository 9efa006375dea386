"""Files of logs verified: one pass if all is well, a second one that says what is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from kms_actors.audit.log import verifying
from kms_actors.audit.log.diagnosing import diagnose
from kms_actors.audit.log.findings import Anchor, Report, Trust
from kms_actors.audit.log.lines import Former

#: Opens the files: names and lines, the oldest first.
Open = Callable[[], Iterable[tuple[str, Iterable[bytes]]]]


def verify(files: Open, trust: Trust, anchors: Sequence[Anchor] = (), receipts: Sequence[Former] = ()) -> Report:
    """Return what the files hold, and what is wrong with it, also with what receipts tell of single lines.

    Raises:
        InvalidRequest: nothing in them is signed by the trusted key, or an anchor is not.

    """
    for anchor in anchors:
        anchor.signed(trust)
    verified = verifying.follow(verifying.read(files()), trust, receipts)
    report = verifying.report_of(verified, anchors)
    if not verifying.is_sound(verified, [*anchors, *receipts]):
        report.findings = diagnose(verifying.read(files()), verified, trust, anchors, receipts)
    return report
