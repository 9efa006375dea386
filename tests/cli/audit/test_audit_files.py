"""`kms-cli audit` with files, and anchors that were kept: what it says, and its exit codes."""

from __future__ import annotations

import gzip
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kms_actors.audit.log import base64, lines
from kms_actors.cli.client import main
from tests.support.audit_verifier import find_audit_verifier
from tests.support.proven_log import Written, write_logs


@pytest.fixture(scope="module")
def made() -> Written:
    return write_logs(11, 400)


@pytest.fixture
def folder(made: Written, tmp_path: Path) -> Path:
    for name, content in made.files():
        (tmp_path / name).write_bytes(b"".join(content))
    told = {
        "scope": made.trust.scope,
        "public_key": base64.encode(made.trust.public_key),
        "logs": [
            {"log": each.log, "lines": each.lines, "head": each.head, "checkpoint": each.checkpoint, "node": "node-1"}
            for each in made.anchors
        ],
    }
    (tmp_path / "anchors.json").write_text(json.dumps(told), encoding="utf-8")
    return tmp_path


@pytest.fixture
def key(made: Written) -> str:
    return str(made.trust.verifier(made.anchors[0].log))


def run(*arguments: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["audit", *map(str, arguments)], input=stdin)


def verify(folder: Path, *files: str, more: tuple[str, ...] = ()) -> tuple[int, dict[str, Any]]:
    done = run("verify", *(folder / name for name in files), "--anchors", folder / "anchors.json", "--json", *more)
    return done.exit_code, json.loads(done.stdout)


def test_sound_logs_end_with_0_in_any_order_of_files(folder: Path, made: Written) -> None:
    for files in (("audit.log.1", "audit.log.2"), ("audit.log.2", "audit.log.1")):
        code, report = verify(folder, *files)
        assert (code, report["sound"], report["findings"], report["notes"]) == (0, True, [], [])
        assert report["lines"] == len(made.lines)
        assert {each["log"]: each["anchored"] for each in report["logs"]} == {
            each.log: each.lines for each in made.anchors
        }
    done = run("verify", folder / "audit.log.1", folder / "audit.log.2", "--anchors", folder / "anchors.json")
    assert done.exit_code == 0
    assert "2 logs: 0 findings" in done.stdout


def test_compressed_files_are_read(folder: Path) -> None:
    content = (folder / "audit.log.2").read_bytes()
    (folder / "audit.log.2.gz").write_bytes(gzip.compress(content))
    assert verify(folder, "audit.log.1", "audit.log.2.gz")[0] == 0


def test_a_changed_line_is_named_by_file_and_line_with_1(folder: Path) -> None:
    path = folder / "audit.log.1"
    content = path.read_bytes().splitlines(keepends=True)
    content[41] = content[41].replace(b"secret/data/", b"secret/dxta/")
    path.write_bytes(b"".join(content))
    code, report = verify(folder, "audit.log.1", "audit.log.2")
    (finding,) = report["findings"]
    assert (code, finding["kind"], finding["file"], finding["line"]) == (1, "changed", str(path), 42)
    done = run("verify", path, folder / "audit.log.2", "--anchors", folder / "anchors.json")
    assert done.exit_code == 1
    assert f"{path}:42: changed: line {finding['first']}" in done.stdout
    assert "1 finding" in done.stdout


def test_a_cut_end_is_found_by_anchors_and_said_to_be_unknown_without(folder: Path, key: str) -> None:
    path = folder / "audit.log.1"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-30]))
    code, report = verify(folder, "audit.log.1", "audit.log.2")
    assert code == 1
    assert "cut" in {each["kind"] for each in report["findings"]}
    done = run("verify", path, folder / "audit.log.2", "--key", key)
    assert done.exit_code == 0
    assert "is not closed: whether its end was cut off, anchors alone tell" in done.stdout


def test_a_file_alone_is_verified_and_what_it_does_not_hold_is_said(folder: Path) -> None:
    code, report = verify(folder, "audit.log.1")
    assert code == 0
    assert len(report["notes"]) == 2
    assert "begins before these files" in report["notes"][0]


def test_logs_of_another_node_are_expected_unless_one_is_named(folder: Path) -> None:
    told = json.loads((folder / "anchors.json").read_text())
    told["logs"][0] = {**told["logs"][0], "node": "node-2"}
    (folder / "anchors.json").write_text(json.dumps(told))
    files = ("audit.log.1", "audit.log.2")
    assert verify(folder, *files)[0] == 0
    log = told["logs"][0]["log"].encode()
    for name in files:
        path = folder / name
        kept = [line for line in path.read_bytes().splitlines(keepends=True) if b'"log":"%b"' % log not in line]
        path.write_bytes(b"".join(kept))
    code, report = verify(folder, *files)
    assert (code, report["findings"][0]["kind"]) == (1, "cut")
    assert verify(folder, *files, more=("--node", "node-1"))[0] == 0


def test_what_cannot_be_verified_ends_with_2(folder: Path, key: str) -> None:
    other = write_logs(12, 10)
    foreign = str(other.trust.verifier(other.anchors[0].log))
    done = run("verify", folder / "audit.log.1", "--key", foreign)
    assert done.exit_code == 2
    assert "nothing here is signed by this key" in done.stderr
    assert run("verify", folder / "audit.log.1").exit_code == 2
    assert run("verify", folder / "audit.log.1", "--key", "nonsense").exit_code == 2
    done = run("verify", folder / "audit.log.1", "--anchors", folder / "anchors.json", "--key", foreign)
    assert (done.exit_code, "another than --key" in done.stderr) == (2, True)
    (folder / "anchors.json").write_text('{"logs": 1}')
    assert run("verify", folder / "audit.log.1", "--anchors", folder / "anchors.json").exit_code == 2
    (folder / "empty").write_bytes(b"")
    assert run("verify", folder / "empty", "--key", key).exit_code == 2


def test_a_file_that_was_emptied_lacks_all_that_anchors_tell(folder: Path, made: Written) -> None:
    (folder / "audit.log.1").write_bytes(b"")
    code, report = verify(folder, "audit.log.1")
    assert code == 1
    assert {(each["kind"], each["log"], each["last"]) for each in report["findings"]} == {
        ("cut", anchor.log, anchor.lines - 1) for anchor in made.anchors
    }


def test_forged_anchors_are_refused(folder: Path) -> None:
    told = json.loads((folder / "anchors.json").read_text())
    note = told["logs"][0]["checkpoint"]
    told["logs"][0]["checkpoint"] = note.replace("\n" + note.split("\n")[1] + "\n", "\n7\n", 1)
    (folder / "anchors.json").write_text(json.dumps(told))
    done = run("verify", folder / "audit.log.1", "--anchors", folder / "anchors.json")
    assert (done.exit_code, "not signed" in done.stderr) == (2, True)


def test_a_line_is_proven_offline_and_go_agrees(folder: Path, made: Written, tmp_path: Path) -> None:
    file, proof, entry = folder / "audit.log.1", tmp_path / "a.tlog-proof", tmp_path / "entry"
    line = file.read_bytes().splitlines()[20]
    parsed = lines.parse(line)
    assert parsed is not None
    key = str(made.trust.verifier(parsed.log))
    done = run("prove", file, "--key", key, "--at", f"{file}:21", "--output", proof, "--entry", entry)
    assert done.exit_code == 0, done.output
    assert entry.read_bytes() == line
    assert find_audit_verifier().accepts("proof", key, proof, entry)
    done = run("check-proof", proof, "--entry", entry, "--key", key)
    assert (done.exit_code, done.stdout.split(" of ")[0]) == (0, f"line {parsed.index}")
    by_index = run("prove", file, "--key", key, "--log", parsed.log, "--index", str(parsed.index))
    assert by_index.stdout == proof.read_text()
    entry.write_bytes(line.replace(b"secret/data/", b"secret/dxta/"))
    refused = run("check-proof", proof, "--entry", entry, "--key", key)
    assert (refused.exit_code, refused.stderr.startswith(f"Error: {proof}: ")) == (1, True)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (proof, entry)} == {0o600}
    assert (
        run("prove", file, "--key", key, "--at", f"{file}:21", "--output", proof).exit_code == 1
    )  # never overwritten
    assert run("prove", file, "--key", key, "--at", f"{file}:9999").exit_code == 1
    assert run("prove", file, "--key", key).exit_code == 2


def test_a_log_is_written_as_tiles_that_go_reads(folder: Path, made: Written, tmp_path: Path) -> None:
    files, anchor, target = (folder / "audit.log.2", folder / "audit.log.1"), made.anchors[0], tmp_path / "tiles"
    key = str(made.trust.verifier(anchor.log))
    assert run("tiles", *files, "--key", key, "--output", target).exit_code == 2  # there are two logs
    done = run("tiles", *files, "--key", key, "--log", anchor.log, "--output", target)
    assert done.exit_code == 0, done.output
    assert key in done.stdout
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    assert find_audit_verifier().accepts("tiles", key, target)


def test_lines_are_found_by_path_accessor_and_value(tmp_path: Path) -> None:
    entries: list[dict[str, Any]] = [
        {"time": "t", "auth": {"accessor": "acc-1"}, "request": {"path": "secret/data/a", "data": {"k": ["hidden"]}}},
        {"time": "t", "auth": {"accessor": "acc-2"}, "request": {"path": "secret/data/b", "data": {"hidden": "k"}}},
        {"time": "t", "request": {"path": "auth/x"}, "response": {"auth": {"accessor": "acc-1"}}},
    ]
    text = [f"@cee: {json.dumps(each, separators=(',', ':'))}" for each in entries]
    log = tmp_path / "log"
    log.write_text("\n".join([*text, "no line at all", '{"path":"secret/data/a"}', ""]), encoding="utf-8")

    def found(*arguments: str, stdin: str | None = None) -> list[str]:
        done = run("search", log, *arguments, stdin=stdin)
        assert done.exit_code == (0 if done.stdout else 1), done.output
        return done.stdout.splitlines()

    assert found("--path", "secret/data/a") == [text[0]]
    assert found("--path", "secret/*") == text[:2]
    assert found("--accessor", "acc-1") == [text[0], text[2]]
    assert found("--value", "hidden") == [text[0]]  # a name is no value
    assert found("--value", "-", stdin="hidden\n") == [text[0]]
    assert found("--value", "hid") == []
    assert found("--path", "secret/*", "--accessor", "acc-2", "--with-place") == [f"{log}:2: {text[1]}"]
    assert run("search", log).exit_code == 2
