"""Audit logs as several workers write them into one file that is rotated, and hands that tamper with them."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kms_actors.audit.log import lines
from kms_actors.audit.log.findings import Anchor, Trust
from kms_actors.audit.log.notes import Signer
from kms_actors.audit.log.writing import Log

SCOPE = "clever-kms/vault_1/audit"
_NOW = "2026-01-01T00:00:00Z"


@dataclass
class Written:
    """Lines of all files, each with the name of its file; and what the store knows of the logs."""

    lines: list[tuple[str, bytes]]
    trust: Trust
    anchors: list[Anchor]
    placed: list[tuple[str, int]] = field(default_factory=list)  # log and index of each line

    def files(self, lines_: list[tuple[str, bytes]] | None = None) -> list[tuple[str, list[bytes]]]:
        found: dict[str, list[bytes]] = {}
        for name, line in self.lines if lines_ is None else lines_:
            found.setdefault(name, []).append(line)
        return list(found.items())

    def note_places(self) -> Written:
        for _, line in self.lines:
            parsed = lines.parse(line[:-1])
            assert parsed is not None
            self.placed.append((parsed.log, parsed.index))
        return self


def device_line(draw: random.Random, number: int, now: str = _NOW) -> bytes:
    """Return a line as a device has it."""
    entry = {
        "time": now,
        "type": draw.choice(["request", "response"]),
        "request": {"id": f"{draw.getrandbits(64):016x}", "path": f"secret/data/{number}", "proof": {"a": "}}"}},
    }
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def write_logs(seed: int, count: int, *, logs: int = 2, each: int = 40, rotated: int = 2) -> Written:
    """Return `count` lines or so of several logs, in as many files, closed and anchored in the end."""
    draw = random.Random(seed)
    key = Ed25519PrivateKey.from_private_bytes(draw.randbytes(32))
    made = [
        Log(name, Signer(f"{SCOPE}/{name}", key)) for name in (f"{draw.getrandbits(64):016x}" for _ in range(logs))
    ]
    found: list[tuple[str, bytes]] = []
    anchors = []
    for file in range(rotated):
        name, now = f"audit.log.{rotated - file}", f"2026-01-01T00:00:{file:02}Z"
        found += [(name, log.checkpoint(lines.CONTINUE if file else lines.BEGIN, now)) for log in made]
        for number in range(count // rotated):
            log = draw.choice(made)
            found.append((name, log.add(device_line(draw, number, now))))
            if log.unsigned >= each:
                found.append((name, log.checkpoint(lines.INTERVAL, now)))
        last = file == rotated - 1
        for log in made:
            note = log.note()
            found.append((name, log.checkpoint(lines.CLOSE if last else lines.ROTATE, now)))
            if last:
                anchors.append(Anchor(log.id, log.size, log.leaf, note))
    return Written(found, Trust(SCOPE, key.public_key().public_bytes_raw()), anchors).note_places()
