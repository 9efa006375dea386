"""Turns by cost: whatever a turn takes, accounts that wait have the same; what is known of them is let go of."""

from __future__ import annotations

import random
import time
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from kms_http.wire.fairness import FEW_GOING_ON, FEW_QUEUED, Fairness, Pace


def give(turns: Fairness[float], now: float, most: int) -> Counter[str]:
    """Give turns, each of which takes as long as the item says; return what accounts have had."""
    spent: Counter[str] = Counter()
    for _ in range(most):
        turn = turns.take(now)
        if turn is None:
            break
        turns.cost(turn.account, turn.item)
        spent[turn.account.name] += turn.item  # type: ignore[assignment]
    return spent


MOST = 0.01  # seconds, of a turn


@settings(deadline=None)
@given(st.integers(0), st.integers(2, 5), st.integers(20, 300))
def test_accounts_that_wait_have_had_the_same_but_for_a_turn_of_each(seed: int, accounts: int, most: int) -> None:
    draw, turns = random.Random(seed), Fairness[float](1.0)
    for number in range(accounts):
        longest = draw.uniform(1e-5, MOST)
        for _ in range(300):
            turns.put(turns.account(str(number), 1.0), draw.uniform(1e-6, longest), 1.0)
    spent = give(turns, 1.0, most)
    had = [spent[str(number)] for number in range(accounts)]
    if all(turns.account(str(number), 1.0).queue for number in range(accounts)):
        assert max(had) - min(had) <= 2 * MOST


@settings(deadline=None)
@given(st.integers(0), st.integers(1, 100))
def test_whoever_comes_after_a_silence_is_next_and_has_no_more_than_others_from_then_on(
    seed: int, before: int
) -> None:
    draw, turns = random.Random(seed), Fairness[float](1.0)
    for _ in range(400):
        turns.put(turns.account("old", 1.0), draw.uniform(1e-5, MOST), 1.0)
    give(turns, 1.0, before)
    new = turns.account("new", 1.0)
    assert turns.modest(new)
    for _ in range(200):
        turns.put(new, 0.001, 1.0)
    turn = turns.take(1.0)
    assert turn is not None
    assert turn.account is new
    turns.cost(new, 0.001)
    assert not turns.modest(new)
    spent = give(turns, 1.0, 150)
    if spent["old"] and spent["new"] < 0.199:
        assert abs(spent["old"] - spent["new"]) <= 0.011


def test_below_few_nobody_is_refused_and_past_it_those_with_their_share() -> None:
    turns: Fairness[float] = Fairness(0.1)
    turns.learn(32.0)  # a second a turn, in the mean
    many, one = turns.account("many", 1.0), turns.account("one", 1.0)
    for _ in range(FEW_QUEUED - 1):
        turns.put(many, 1.0, 1.0)
    assert not turns.refuses(many, Pace(keeps=False))
    turns.put(many, 1.0, 1.0)
    assert turns.refuses(many, Pace(keeps=False))
    assert not turns.refuses(one, Pace(keeps=False))
    turns.put(one, 1.0, 1.0)
    assert not turns.refuses(one, Pace(keeps=False))
    assert turns.refuses(many, Pace(keeps=False))


def test_what_goes_on_slowly_refuses_its_own_kind_alone() -> None:
    turns: Fairness[float] = Fairness(0.1)
    account, slow, other = turns.account("a", 1.0), turns.kind("slow"), turns.kind("other")
    for _ in range(FEW_GOING_ON + 4):
        turns.go_on(account, slow)
    assert not turns.refuses(account, slow)  # it is not known yet how slow
    for number in range(3):
        turns.end(account, slow, 2.0 + 0.04 * number)
        turns.go_on(account, slow)
    assert turns.tight == 1
    assert turns.refuses(account, slow)
    assert not turns.refuses(account, other)
    for _ in range(FEW_GOING_ON + 4):
        turns.end(account, slow, 3.0)
    assert (turns.tight, turns.going_on) == (0, 0)


def test_beside_another_an_account_has_only_so_many_going_on() -> None:
    turns: Fairness[float] = Fairness(10.0)
    one = turns.account("one", 1.0)
    for _ in range(200):
        turns.put(one, 0.0, 1.0)
    for _ in range(100):  # alone, any number
        turn = turns.take(1.0)
        assert turn is not None
        turns.go_on(turn.account, turns.kind("kv"))
        turns.cost(turn.account, 1e-5)
    turns.account("two", 1.0)
    assert turns.take(1.0) is None
    assert not turns.ready


def test_of_accounts_that_have_gone_nothing_is_kept() -> None:
    turns: Fairness[float] = Fairness(1.0)
    for number in range(10_000):
        now = 1.0 + number / 100
        turns.put(turns.account(str(number), now), 0.001, now)
        give(turns, now, 5)
    assert len(turns._accounts) < 100
    assert len(turns._seen[0] | turns._seen[1]) <= 202


@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from([0.0, 0.3, 0.9, 1.4, 2.5])), max_size=60))
def test_as_many_have_asked_lately_as_are_remembered(asked: list[tuple[int, float]]) -> None:
    turns, now = Fairness[float](1.0), 10.0
    for number, silence in asked:
        now += silence
        turns.account(str(number), now)
        assert turns._lately == len(turns._seen[0] | turns._seen[1])


def test_what_an_account_costs_does_not_grow_with_how_many_there_are() -> None:
    def seconds(accounts: int) -> float:
        names = [str(number) for number in range(accounts)]
        spent = []
        for _ in range(3):
            turns: Fairness[float] = Fairness(1.0)
            began = time.process_time()
            for now in (1.0, 2.5):
                for name in names:
                    turns.account(name, now)
            spent.append(time.process_time() - began)
        return min(spent)

    assert seconds(8000) < 40 * seconds(1000)  # 8 times as many; were all counted for each, it would be 64 and more


def test_a_pace_is_that_of_all_however_many_are_done_in_one_pass() -> None:
    """A hundred that come back from threads in one go, every third of a second, take 3 ms each."""
    pace = Pace(keeps=True)
    pace.waiting = 400
    for second in range(1, 11):
        for _ in range(100):
            pace.done(second / 3, 12, 1e-4)
        if second > 2:
            assert 0.002 < pace.mean < 0.008
    pace.waiting = 1
    pace.done(4.0, 12, 1e-4)
    assert 0.002 < pace.mean < 0.008, "it is known after a silence, too"
    forgetful = Pace(keeps=False)
    forgetful.waiting = 1
    forgetful.done(4.0, 12, 1e-4)
    assert forgetful.mean == 1e-4
