"""A log that is written goes back to where it was, whatever was done meanwhile, and on as if that had not been."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.audit.log import lines
from kms_actors.audit.log.notes import Signer
from kms_actors.audit.log.writing import Log

SIGNER = Signer("scope/log", Ed25519PrivateKey.from_private_bytes(bytes(32)))
STEPS = st.lists(st.integers(0, 5) | st.sampled_from(["checkpoint", "look"]), max_size=6)


def take(log: Log, steps: list[int | str]) -> list[bytes]:
    """Do what is drawn: add so many lines, write a checkpoint, or look at what there is; return what was written."""
    written: list[bytes] = []
    for step in steps:
        if isinstance(step, int):
            written += log.add_all([b'{"n":%d}\n' % number for number in range(step)])
        elif step == "checkpoint":
            written.append(log.checkpoint(lines.INTERVAL, "now"))
        else:
            log.note()
    return written


@given(STEPS, STEPS, STEPS)
def test_what_was_taken_back_leaves_no_trace(
    before: list[int | str], undone: list[int | str], after: list[int | str]
) -> None:
    log, straight = (Log("0" * 16, SIGNER) for _ in range(2))
    take(log, before)
    take(straight, before)
    mark = log.mark()
    take(log, undone)
    log.go_back(mark)
    assert (log.size, log.unsigned, log.leaf) == (straight.size, straight.unsigned, straight.leaf)
    assert take(log, after) == take(straight, after)
    assert log.state == straight.state


@given(STEPS, STEPS)
def test_a_log_goes_on_from_its_state_as_it_would_have(before: list[int | str], after: list[int | str]) -> None:
    log = Log("0" * 16, SIGNER)
    take(log, before)
    other = Log("0" * 16, SIGNER, log.state)
    assert take(other, after) == take(log, after)
    assert other.state == log.state
