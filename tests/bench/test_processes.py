from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from tests.bench.processes import cpu_seconds, listener, output, process_tree, resident_bytes
from tests.bench.results import Row, Series
from tests.bench.tenants import _latencies


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
