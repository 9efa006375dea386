from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.processes import _tree, cpu_seconds, listener, output, process_tree, resident_bytes
from tests.bench.results import Row, Series
from tests.bench.tenants import _latencies
from tests.support.node import wait_until

ROOT = Path(__file__).parents[2]


def test_who_listens_on_a_port_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert listener(f"http://127.0.0.1:{server.getsockname()[1]}") == os.getpid()


def test_a_port_where_nobody_listens_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(RuntimeError, match="nobody listens"):
            listener(f"http://127.0.0.1:{taken.getsockname()[1]}")


def test_descendants_count_along() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert child.pid in process_tree(os.getpid())
        memory = resident_bytes(os.getpid())
        assert len(memory) >= 2
        assert memory == sorted(memory)
        assert memory[0] > 0
    finally:
        child.communicate(b"\n")


def test_cpu_time_of_a_process_is_that_of_its_own_clock() -> None:
    """In a process of its own: this one may have children from other tests."""
    work = "import os; sum(range(3_000_000)); print(sum(os.times()[:2]), flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        own = float(child.stdout.readline())
        assert own > 0.02
        assert cpu_seconds(child.pid) == pytest.approx(own, abs=0.05)
    finally:
        child.communicate("\n")


def test_what_a_failing_command_says_is_in_the_error() -> None:
    with pytest.raises(RuntimeError, match="no such place"):
        output([sys.executable, "-c", "raise SystemExit('no such place')"], 30)
    assert output([sys.executable, "-c", "print('here')"], 30) == "here\n"


def test_a_command_that_does_not_end_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="did not end within"):
        output([sys.executable, "-c", "import signal; signal.pause()"], 0.05)


@pytest.mark.parametrize(
    ("rounds", "expected"), [(2, [40.0, 50.0]), (1, [50.0]), (9, [10.0, 20.0, 30.0, 40.0, 50.0])]
)
def test_latencies_are_cut_into_rounds_of_tenants_from_all_over(rounds: int, expected: list[float]) -> None:
    row = Row("cold")
    made = _latencies(row, [10.0, 20.0, 30.0, 40.0, 50.0], rounds)
    assert [one.measure for one in made] == ["p50", "p99"]
    assert sorted(made[1].values) == expected
    assert isinstance(made[1], Series)


_SESSION = """
import subprocess, sys
from tests.bench.processes import none_left

child = "import subprocess, sys; subprocess.Popen(['sleep', '600']); print('up', flush=True); {then}"
with none_left():
    started = subprocess.Popen([sys.executable, "-c", child], start_new_session=True, stdout=subprocess.PIPE)
    started.stdout.readline()
    print("ready", flush=True)
    {end}
"""


def descendants(pid: int) -> list[int]:
    return [process for process in _tree(pid) if process != pid]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    run = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with run:
        try:
            yield run
        finally:
            run.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("then", ["input()", "raise SystemExit"], ids=["of a child", "of one that has ended"])
def test_nothing_is_left_of_a_run_that_a_signal_ends(number: signal.Signals, then: str) -> None:
    with running("-c", _SESSION.format(then=then, end="__import__('signal').pause()")) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        started = descendants(run.pid)
        assert started
        run.send_signal(number)
        assert run.wait(30) == 128 + number
    assert not [pid for pid in started if alive(pid)]


def test_nothing_is_left_of_a_run_that_fails() -> None:
    program = _SESSION.format(then="input()", end="print(started.pid, flush=True); raise RuntimeError")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert not alive(int(done.stdout.split()[-1]))


def test_a_bench_that_is_ended_leaves_no_node(tmp_path: Path) -> None:
    options = [
        "--stages",
        "starts",
        "--store",
        "sqlite",
        "--no-reference",
        "--output",
        str(tmp_path / "results.json"),
    ]
    with running("-m", "tests.bench.run", *options) as run:
        wait_until(lambda: bool(descendants(run.pid)) or run.poll() is not None, "a node")
        started = descendants(run.pid)
        assert started
        run.terminate()
        assert run.wait(60) == 128 + signal.SIGTERM
    assert not [pid for pid in started if alive(pid)]
