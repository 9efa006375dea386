"""Notes, checkpoints and proofs have the form of C2SP, and Go's implementation reads ours and writes what we read."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kms_actors.audit.log import checkpoints, notes, proofs
from kms_actors.audit.log.checkpoints import Checkpoint
from kms_actors.audit.log.notes import Signer, Verifier, key_id
from kms_actors.audit.log.proofs import Proof
from kms_actors.audit.log.tree import Tree, leaf_hash
from kms_actors.errors import InvalidRequest
from tests.support.audit_verifier import find_audit_verifier

# Of the documentation of golang.org/x/mod/sumdb/note.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS_KEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PETERS_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
NAME = "example.com/log"


@pytest.fixture
def signer() -> Signer:
    return Signer(NAME, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def test_the_published_note_is_signed_by_its_key() -> None:
    verifier = Verifier.parse(PETER)
    assert str(verifier) == PETER
    assert verifier.signed(notes.parse(PETERS_NOTE))


def test_the_published_key_signs_the_published_note() -> None:
    seed = base64.b64decode(PETERS_KEY.split("+", 4)[4])[1:]
    signer = Signer("PeterNeumann", Ed25519PrivateKey.from_private_bytes(seed))
    assert signer.note(PETERS_NOTE.partition("\n\n")[0] + "\n") == PETERS_NOTE


def test_an_id_is_of_name_and_key(signer: Signer) -> None:
    public = signer.verifier.public_key
    assert key_id(NAME, public) == signer.verifier.key_id != key_id(NAME + "2", public)
    assert key_id(NAME, public) != key_id(NAME, bytes(32))


@pytest.mark.parametrize(
    "wrong",
    [
        PETER.replace("c74f20a3", "c74f20a4"),
        PETER.replace("+A", "+B"),
        PETER[:-1],
        PETER.replace("PeterNeumann", ""),
        "nothing",
        PETER.replace("PeterNeumann", "Peter Neumann"),
    ],
)
def test_wrong_verifier_keys_are_refused(wrong: str) -> None:
    with pytest.raises(InvalidRequest):
        Verifier.parse(wrong)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("answer", "question"),
        ("x08go/ZJ", "x08go/ZK"),
        ("PeterNeumann x08", "Somebody x08"),
        ("x08go", "x08gp"),
        ("JnAM=", "JnAN="),  # bits that base64 does not use
    ],
)
def test_a_note_that_was_changed_is_not_signed(old: str, new: str) -> None:
    try:
        note = notes.parse(PETERS_NOTE.replace(old, new))
    except InvalidRequest:
        return
    assert not Verifier.parse(PETER).signed(note)


@pytest.mark.parametrize(
    "wrong", ["", "\n\n", "text\n", "text\n\n", PETERS_NOTE[:-1], PETERS_NOTE + "\n", "a\x07\n" + PETERS_NOTE]
)
def test_what_is_no_note_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidRequest):
        notes.parse(wrong)


def test_unknown_signatures_are_ignored_and_wrong_ones_of_the_key_are_not(signer: Signer) -> None:
    text = "a\n"
    other = Signer(NAME, Ed25519PrivateKey.generate())
    foreign = other.note(text).partition("\n\n")[2]
    assert signer.verifier.signed(notes.parse(signer.note(text) + foreign))
    wrong = signer.note("b\n").partition("\n\n")[2]
    assert not signer.verifier.signed(notes.parse(signer.note(text) + wrong))


def test_a_checkpoint_is_read_as_it_was_signed(signer: Signer) -> None:
    made = Checkpoint(NAME, 20852163, leaf_hash(b""))
    assert checkpoints.opened(made.sign(signer), signer.verifier) == made


@pytest.mark.parametrize(
    "wrong", [f"{NAME}\n01\n", f"{NAME}\n-1\n", f"{NAME}\nx\n", f"{NAME}\n\n", "\n5\n", "a\n5\n"]
)
def test_what_is_no_checkpoint_is_refused(signer: Signer, wrong: str) -> None:
    root = base64.b64encode(bytes(32)).decode()
    with pytest.raises(InvalidRequest):
        checkpoints.opened(signer.note(f"{wrong}{root}\n"), signer.verifier)


def test_a_checkpoint_of_another_log_is_refused(signer: Signer) -> None:
    with pytest.raises(InvalidRequest):
        checkpoints.opened(Checkpoint("example.com/other", 0, bytes(32)).sign(signer), signer.verifier)


def proof_of(signer: Signer, index: int, size: int) -> Proof:
    tree = Tree(None, (leaf_hash(b"entry %d" % number) for number in range(size)))
    note = Checkpoint(NAME, size, tree.root()).sign(signer)
    return Proof(index, tuple(tree.inclusion(index, size)), note)


@pytest.mark.parametrize(("index", "size"), [(0, 1), (3, 7), (511, 1000)])
def test_a_proof_is_read_as_it_was_written_and_proves_its_entry_alone(signer: Signer, index: int, size: int) -> None:
    made = proof_of(signer, index, size)
    read = proofs.parse(made.text())
    assert read == made
    assert read.check(b"entry %d" % index, signer.verifier).size == size
    with pytest.raises(InvalidRequest):
        read.check(b"another", signer.verifier)
    with_extra = made.text().replace("\nindex", "\nextra AAAA\nindex")
    assert proofs.parse(with_extra) == made


@pytest.mark.parametrize("wrong", ["", "c2sp.org/tlog-proof@v1\n\n", "c2sp.org/tlog-proof@v2\nindex 0\n\nx"])
def test_what_is_no_proof_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidRequest):
        proofs.parse(wrong)


def test_go_accepts_proofs_and_refuses_those_of_other_entries(signer: Signer, tmp_path: Path) -> None:
    verifier = find_audit_verifier()
    proof, entry = tmp_path / "a.tlog-proof", tmp_path / "entry"
    proof.write_text(proof_of(signer, 511, 1000).text(), encoding="utf-8")
    entry.write_bytes(b"entry 511")
    assert verifier.accepts("proof", str(signer.verifier), proof, entry)
    assert not verifier.accepts("proof", PETER, proof, entry)
    entry.write_bytes(b"entry 512")
    assert not verifier.accepts("proof", str(signer.verifier), proof, entry)


def test_go_accepts_that_one_checkpoint_continues_another(signer: Signer, tmp_path: Path) -> None:
    verifier = find_audit_verifier()
    tree = Tree(None, (leaf_hash(b"entry %d" % number) for number in range(100)))
    old, new, proof = tmp_path / "old", tmp_path / "new", tmp_path / "proof"
    old.write_text(Checkpoint(NAME, 37, tree.root(37)).sign(signer), encoding="utf-8")
    new.write_text(Checkpoint(NAME, 100, tree.root()).sign(signer), encoding="utf-8")
    proof.write_text("".join(base64.b64encode(node).decode() + "\n" for node in tree.consistency(37, 100)))
    assert verifier.accepts("tree", str(signer.verifier), old, new, proof)
    old.write_text(Checkpoint(NAME, 37, leaf_hash(b"another")).sign(signer), encoding="utf-8")
    assert not verifier.accepts("tree", str(signer.verifier), old, new, proof)


def test_a_note_that_go_signs_is_read(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("one\n\ntwo\n", encoding="utf-8")
    note = notes.parse(find_audit_verifier().sign(PETERS_KEY, text))
    assert note.text == "one\n\ntwo\n"
    assert Verifier.parse(PETER).signed(note)
