"""Caches and their bytes: a bound that holds whatever comes, and least recently used out first."""

from hypothesis import given
from hypothesis import strategies as st

from kms_actors.cache import Account, Budget, ByteCache

LIMIT = 1000

_steps = st.lists(
    st.tuples(st.sampled_from(["put", "get", "discard", "idle"]), st.integers(0, 12), st.integers(1, 1500))
)


@given(_steps, st.integers(1, 6))
def test_a_cache_stays_within_its_bounds_and_keeps_the_newest(steps: list[tuple[str, int, int]], most: int) -> None:
    account = Account()
    cache: ByteCache[int, bytes] = ByteCache(LIMIT, lambda _, value: len(value), most=most, account=account)
    model: dict[int, int] = {}  # in the order of use
    used: set[int] = set()  # since what is idle was last forgotten
    for step, key, size in steps:
        if step == "put":
            model.pop(key, None)
            model[key] = size
            cache.put(key, bytes(size))
            used.add(key)
            while len(model) > most or (sum(model.values()) > LIMIT and len(model) > 1):
                del model[next(iter(model))]
        elif step == "get":
            found = cache.get(key)
            assert (None if found is None else len(found)) == model.get(key)
            if key in model:
                model[key] = model.pop(key)
                used.add(key)
        elif step == "idle":
            cache.forget_idle()
            model = {known: length for known, length in model.items() if known in used}
            used.clear()
        else:
            model.pop(key, None)
            cache.discard(key)
        assert list(cache.keys()) == list(model)
        assert cache.bytes == account.bytes == sum(model.values())


def test_an_entry_in_use_survives_a_flood() -> None:
    cache: ByteCache[int, bytes] = ByteCache(LIMIT, lambda _, value: len(value))
    cache.put(-1, bytes(100))
    for key in range(1000):
        cache.put(key, bytes(100))
        assert cache.get(-1) is not None
        assert cache.bytes <= LIMIT


def test_a_budget_asks_for_room_at_each_growth_beyond_its_limit() -> None:
    asked: list[int] = []
    budget = Budget(LIMIT, lambda: asked.append(budget.bytes))
    one, other = Account(budget), Account(budget)
    one.add(900)
    other.add(200)
    other.add(-50)
    other.add(1)
    assert asked == [1100, 1051]


def test_a_closed_account_gives_back_what_it_had_and_counts_no_more() -> None:
    budget = Budget(LIMIT, lambda: None)
    account = Account(budget)
    account.add(700)
    account.close()
    account.add(100)
    account.close()
    assert (budget.bytes, account.bytes) == (0, 800)


def test_room_made_by_closing_an_account_counts_at_once() -> None:
    accounts: list[Account] = []

    def make_room() -> None:
        while budget.exceeded:
            accounts.pop(0).close()

    budget = Budget(LIMIT, make_room)
    for _ in range(50):
        accounts.append(Account(budget))
        accounts[-1].add(300)
        assert budget.bytes <= LIMIT
    assert len(accounts) == 3
