from __future__ import annotations

import pytest

from kms_actors.transit.key_types import KEY_TYPES
from kms_actors.transit.schemes.mldsa import BareMlDsa
from tests.bench import table, tls
from tests.bench.cases import CASES, SIGNING, passes
from tests.bench.results import HALF_LOAD, MEASURES, REFERENCE, Results, Row, Series
from tests.bench.targets import TARGETS, Standing, Target, Verdict, check

ROW = Row("encrypt", "sqlite", 2, 16)
TWICE = Target("encrypt", "throughput", times=2.0, connections=16)
CHEAP = Target("encrypt", "cpu", at_most=70.0, connections=16)


def judge(target: Target, *series: Series) -> Verdict:
    (verdict,) = check(Results(2, series), [target])
    return verdict


@pytest.mark.parametrize(("ours", "standing"), [(200.0, Standing.MET), (199.0, Standing.MISSED)])
def test_a_ratio_is_met_from_its_bound_on(ours: float, standing: Standing) -> None:
    measured = Series(ROW, "throughput", [ours]), Series(ROW, "throughput", [100.0], REFERENCE)
    assert judge(TWICE, *measured).standing is standing


@pytest.mark.parametrize(("ours", "standing"), [(70.0, Standing.MET), (70.1, Standing.MISSED)])
def test_a_value_is_met_up_to_its_bound(ours: float, standing: Standing) -> None:
    assert judge(CHEAP, Series(ROW, "cpu", [ours])).standing is standing


def test_the_median_decides() -> None:
    assert judge(CHEAP, Series(ROW, "cpu", [60.0, 65.0, 500.0])).standing is Standing.MET


def test_a_ratio_without_a_reference_is_not_measured() -> None:
    assert judge(TWICE, Series(ROW, "throughput", [200.0])).standing is Standing.NOT_MEASURED


@pytest.mark.parametrize("row", [ROW._replace(connections=1), ROW._replace(workers=1), ROW._replace(case="decrypt")])
def test_what_was_measured_otherwise_does_not_count(row: Row) -> None:
    assert judge(CHEAP, Series(row, "cpu", [1.0])).standing is Standing.NOT_MEASURED


def test_a_target_of_one_worker_is_judged_on_one() -> None:
    verdict = judge(
        CHEAP._replace(one_worker=True), Series(ROW, "cpu", [1.0]), Series(ROW._replace(workers=1), "cpu", [90.0])
    )
    assert (verdict.row.workers, verdict.standing) == (1, Standing.MISSED)


def test_each_store_of_the_run_that_a_target_names_is_judged() -> None:
    target = CHEAP._replace(stores=("sqlite", "foundationdb"))
    measured = Series(ROW, "cpu", [1.0]), Series(ROW._replace(store="foundationdb"), "cpu", [90.0])
    assert [one.standing for one in check(Results(2, measured), [target])] == [Standing.MET, Standing.MISSED]
    assert len(check(Results(2, measured[:1]), [target])) == 1
    assert len(check(Results(2, measured), [CHEAP])) == 1


def test_the_table_of_verdicts_says_all_there_is_to_know() -> None:
    measured = Series(ROW, "cpu", [60.0, 65.0, 66.0])
    lines = list(table.verdicts(check(Results(2, [measured]), [CHEAP, TWICE])))
    assert "≤ 70 µs of CPU a request" in lines[1]
    assert "65.0 (60.0…66.0)  met (of 3 rounds only)" in lines[1]
    assert lines[2].endswith("NOT MEASURED")
    assert lines[3] == "2 targets: 1 met, 0 missed, 1 not measured"


def test_a_row_shows_medians_with_the_ends_and_how_many_times_better_ours_is() -> None:
    samples = {"throughput": 200.0, "cpu": 50.0, "p50": 100.0, "p99": 400.0}
    ours = [Series(ROW, measure, [value * 0.9, value, value * 1.1]) for measure, value in samples.items()]
    other = [Series(ROW, measure, [100.0, 100.0, 100.0], REFERENCE) for measure in samples]
    shown = table.line([*ours, *other])
    assert "200 (180…220) 50.0 (45.0…55.0)     100          400 (360…440)" in shown
    assert shown.endswith("throughput 2.00 (1.80…2.20)  cpu 2.00 (1.82…2.22)  p99 0.25 (0.23…0.28)")


def test_a_row_beside_load_shows_its_unit() -> None:
    series = Series(Row("start", "sqlite", 1), "seconds", [0.5, 0.4, 0.6])
    assert table.line([series]).split() == ["start", "sqlite", "1", "0.50", "(0.40…0.60)", "s"]


def test_cases_have_names_of_their_own() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


def test_every_key_type_that_signs_has_its_cases() -> None:
    """A bare ML-DSA signs as the type that it is like: only its keys are shown in another way."""
    assert {options["type"] for options in SIGNING.values()} == {
        one.name
        for one in KEY_TYPES.values()
        if one.signing and not any(isinstance(each, BareMlDsa) for each in one.schemes.values())
    }


def test_every_target_of_a_case_is_measured() -> None:
    """Where a case under load is renamed, or no longer run as its target says, the check would never be met."""
    measured = {Row(case, "sqlite", 0, 16) for case in (tls.ENCRYPT, tls.HANDSHAKE)}  # a stage of its own
    for store, workers, cases in passes("", ("sqlite", "foundationdb")):
        for case in cases:
            measured |= {Row(case.name, store, workers, width) for width in case.connections}
            measured |= {Row(case.name + HALF_LOAD, store, workers, 64)} if case.half_load else set()
    for target in (target for target in TARGETS if target.connections):
        for store in target.stores:
            assert Row(target.case, store, int(target.one_worker), target.connections) in measured
            assert target.measure in MEASURES


@pytest.mark.parametrize(("only", "stores"), [("no such case", ("sqlite",)), ("hmac", ("foundationdb",))])
def test_a_kind_of_node_without_cases_is_not_started(only: str, stores: tuple[str, ...]) -> None:
    assert list(passes(only, stores)) == []
