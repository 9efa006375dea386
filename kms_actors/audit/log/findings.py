"""What a verification tells of logs, and what it knows of them from elsewhere."""

from __future__ import annotations

import enum

import msgspec

from kms_actors.audit.log import checkpoints
from kms_actors.audit.log.checkpoints import Checkpoint
from kms_actors.audit.log.notes import Verifier
from kms_actors.errors import InvalidRequest


class Kind(enum.Enum):
    """What is wrong with lines."""

    CHANGED = "changed"  # a line stands where it should and says something else
    REMOVED = "removed"  # a line that was there is not
    ADDED = "added"  # a line is there that was not
    MOVED = "moved"  # a line stands elsewhere than it did
    FORKED = "forked"  # lines that continue the log in another way than it was continued
    CUT = "cut"  # lines at the end, or at the beginning of a file, are not there
    UNPROVEN = "unproven"  # lines next to others that are gone, with the checkpoint that would vouch for them


class Finding(msgspec.Struct, frozen=True):
    """What is wrong, with lines `first` to `last` of a log, and where the first of them stands, if it does."""

    kind: Kind
    text: str
    log: str = ""
    first: int | None = None
    last: int | None = None
    file: str = ""
    line: int | None = None  # from 1

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line is not None else ""
        of_log = f" (log {self.log})" if self.log else ""
        return f"{place}{self.kind.value}: {self.text}{of_log}"


class Anchor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of a log elsewhere: how many lines it had when that was written, and the leaf of the last one.

    That line is a control line, and `checkpoint` what it holds: the signed checkpoint of all lines before it.
    """

    log: str
    lines: int
    head: str  # base64
    checkpoint: str

    def signed(self, trust: Trust) -> Checkpoint:
        """Return the checkpoint; raises InvalidRequest where it is not signed by the log's key."""
        return checkpoints.opened(self.checkpoint, trust.verifier(self.log))


class LogReport(msgspec.Struct):
    """One log, as it was found in files."""

    log: str
    origin: str
    key: str
    first: int  # the first line that is there
    lines: int  # of the whole log
    signed: int  # of these, those that a checkpoint holds
    closed: bool  # the device was closed, or the file moved away: what follows is elsewhere, if there is more
    anchored: int | None = None  # lines that an anchor tells


class Report(msgspec.Struct):
    """All logs of some files."""

    logs: list[LogReport]
    findings: list[Finding]
    lines: int  # of all files
    notes: list[str] = []


class Trust(msgspec.Struct, frozen=True):
    """The key that signs the logs of a node or of a vault; their names begin with `scope`."""

    scope: str
    public_key: bytes

    @classmethod
    def of(cls, verifier: str) -> Trust:
        """Return what the verifier key of any log of a scope tells; raises InvalidRequest."""
        found = Verifier.parse(verifier)
        scope, mark, _ = found.name.rpartition("/")
        if not mark:
            raise InvalidRequest("the verifier key is not of a log of this service: its name has no slash")
        return cls(scope, found.public_key)

    def verifier(self, log: str) -> Verifier:
        """Return the key of a log."""
        return Verifier(f"{self.scope}/{log}", self.public_key)
