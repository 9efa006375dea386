"""What others write is taken, or refused as it is said to be refused, and nothing else: what is kept, what is near.

The kind: a parser raises what nobody listed, or takes what it does not give back as it was. Long runs are those of
`make fuzz`; what they found is kept in `corpus/`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import corpus, parsing
from tests.fuzz.mutating import mutated
from tests.fuzz.parsers.table import TABLE
from tests.fuzz.parsers.target import Target

#: Inputs drawn for each parser; those that make keys of RSA are slow.
DRAWN = 200
_SLOW = {"private-rsa-2048": 20, "pgp": 5, "audit-log": 20, "biscuit": 60, "certificate-shown": 60}


@pytest.mark.parametrize("name", TABLE)
def test_what_is_kept_and_what_is_near_is_taken_or_refused_and_nothing_else(name: str) -> None:
    target = TABLE[name]
    inputs = corpus.inputs(name, target)
    taken = [data for data in inputs if target.run(data)]
    assert taken or name in _REFUSE_ALL
    for data in mutated(inputs, name, _SLOW.get(name, DRAWN), target.most):
        target.run(data)


#: Seeds of these are all refused, since nobody can make one that is not.
_REFUSE_ALL = {"audit-note", "jwt-pem", "shares"}


def test_every_file_of_the_corpus_is_of_a_parser() -> None:
    names = {path.stem for path in corpus.FOLDER.iterdir()}
    assert names
    assert names <= TABLE.keys()


def _broken(data: bytes) -> None:
    if data.startswith(b"ab") and data[-1:] == b"9":
        raise KeyError(data)


def test_a_parser_that_breaks_is_found() -> None:
    target = Target(_broken, lambda: (b"ab1", b"xy9"))
    drawn = mutated([*target.seeds()], "seed", 2000, 16)
    with pytest.raises(KeyError):
        any(target.run(data) is None for data in drawn)


@pytest.mark.parametrize("found", [AssertionError, ValueError, RecursionError, UnicodeDecodeError])
def test_only_what_a_parser_says_it_raises_is_a_refusal(found: type[Exception]) -> None:
    def take(_: bytes) -> None:
        raise UnicodeDecodeError("utf-8", b"", 0, 1, "x") if found is UnicodeDecodeError else found

    with pytest.raises(found):
        Target(take, lambda: ()).run(b"")


def test_the_guided_fuzzer_runs_and_finds_what_is_planted(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="NOT TESTED: guided fuzzing. Atheris is not here (requirements-fuzz.lock)")
    sound = parsing.fuzz("duration", tmp_path / "sound", 1)
    assert sound.runs > 100, sound
    assert (sound.why, sound.inputs) == ("", [])
    planted = parsing.fuzz("planted", tmp_path / "planted", 20)
    assert "KeyError" in planted.why, planted
    assert [data[:4] for data in planted.inputs] == [b"fuzz"]
