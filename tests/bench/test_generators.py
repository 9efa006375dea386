"""What the load generators print is read as it is meant."""

from __future__ import annotations

import pytest

from tests.bench import vegeta, wrk

WRK = """\
Running 2s test @ http://127.0.0.1:8202
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.21ms  310.00us  21.30ms   96.10%
    Req/Sec    12.57k   512.00    13.10k    70.00%
  Latency Distribution
     50%  980.00us
     75%    1.30ms
     90%    1.90ms
     99%    3.03ms
  25000 requests in 2.00s, 8.21MB read
Requests/sec:  12498.73
Transfer/sec:      4.10MB
"""
MS = 1_000_000


def csv(*requests: tuple[int, int, int], status: int = 200) -> list[str]:
    """Return lines of vegeta's CSV for requests given as milliseconds of start, of latency, and number."""
    return [
        f"{1_700_000_000_000_000_000 + start * MS},{status},{latency * MS},10,20,,Ym9keQ==,,{number},GET,http://h/,aA=="
        for start, latency, number in requests
    ]


def test_wrk_is_read() -> None:
    assert wrk.read(WRK, 2.5) == {"throughput": 12498.73, "cpu": pytest.approx(100.0), "p50": 980.0, "p99": 3030.0}


def test_wrk_with_seconds_is_read() -> None:
    assert wrk.read(WRK.replace("3.03ms", "1.25s"), 1.0)["p99"] == 1_250_000.0


@pytest.mark.parametrize(
    "line", ["Non-2xx or 3xx responses: 7", "Socket errors: connect 0, read 3, write 0, timeout 0"]
)
def test_a_run_with_refused_requests_does_not_count(line: str) -> None:
    with pytest.raises(RuntimeError, match="refused"):
        wrk.read(f"{WRK}  {line}\n", 1.0)


def test_other_words_of_wrk_are_said() -> None:
    with pytest.raises(RuntimeError, match="something else"):
        wrk.read("unable to connect", 1.0)


def test_a_request_that_is_sent_when_due_takes_what_it_takes() -> None:
    found = vegeta.read(csv((0, 2, 0), (10, 3, 1), (20, 4, 2)), 100, 0.003)
    assert found == {"offered": pytest.approx(100.0), "cpu": pytest.approx(1000.0), "p50": 3000.0, "p99": 4000.0}


def test_the_time_that_a_request_was_sent_late_counts() -> None:
    """The generator was held up for 30 ms: what was due meanwhile went out at once, and was answered at once."""
    stalled = csv((0, 1, 0), (40, 1, 1), (40, 1, 2), (40, 1, 3), (40, 1, 4))
    assert vegeta.read(stalled, 100, 0.0)["p99"] == 31_000.0
    assert vegeta.read(stalled, 100, 0.0)["p50"] == 11_000.0


def test_requests_are_known_by_number_not_by_the_order_of_their_answers() -> None:
    ordered, mixed = csv((0, 50, 0), (10, 1, 1), (20, 1, 2)), csv((10, 1, 1), (20, 1, 2), (0, 50, 0))
    assert vegeta.read(mixed, 100, 0.0) == vegeta.read(ordered, 100, 0.0)


def test_a_first_request_that_is_late_itself_does_not_set_the_clock() -> None:
    assert vegeta.from_schedule([25 * MS, 30 * MS, 40 * MS], [MS] * 3, [0, 1, 2], 10 * MS) == [6 * MS, MS, MS]


def test_a_refused_request_spoils_the_run() -> None:
    with pytest.raises(RuntimeError, match="refused a request: 503"):
        vegeta.read(csv((0, 1, 0), status=503), 100, 0.0)


def test_a_run_without_requests_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="nothing"):
        vegeta.read([], 100, 0.0)
