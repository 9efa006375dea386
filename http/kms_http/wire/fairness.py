"""Who has the next turn where more is asked for than can be done: accounts in turn, by what their turns have cost.

Start-time fair queueing (Goyal, Vin, Cheng 1996): an account's next turn has a place on a line, as far behind its
last one as that one has cost; whoever comes after a silence begins where the others are. So each has its share,
whatever a turn of it costs, which is known only afterwards, and who asks for less than his share waits for no more
than the turn that has begun. Pure: seconds are told, of any steady clock.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")

#: Requests below which none is refused: those that wait for a turn, and those of a kind that go on in tasks. Who was
#: given no processor for a while was not asked for too much.
FEW_QUEUED: Final = 32
FEW_GOING_ON: Final = 24
#: Where more than one account has asked of late: requests of them all that go on in tasks at once, and of each at
#: least. What they wait for there, a store or threads, knows no turns.
_TOGETHER: Final = 64
_EACH: Final = 8
#: The same where what goes on is done in slices on the loop: no sooner, the more there are.
_SLICED: Final = 16
#: Seconds of a processor that an account may have had more than those that wait, and yet be begun before them.
_CREDIT: Final = 0.001
#: Seconds that count as of late, once or twice.
_LATELY: Final = 1.0
#: How much of a mean each new value is, and the longest time between two answers that says anything of a pace.
_WEIGHT: Final = 1 / 32
_STEP_WEIGHT: Final = 1 / 8
_LONGEST: Final = 0.05
#: Seconds in which answers count together: of threads, those of a pass of the loop come at once.
_TOGETHER_SECONDS: Final = 0.005
#: Kinds of requests kept before those are let go of that nobody waits for.
_KINDS: Final = 256
#: Accounts kept before those that nothing is known of are looked for.
_SWEEP: Final = 64


class Account(Generic[T]):
    """A vault, or an address where it is not known which."""

    __slots__ = ("going_on", "listed", "name", "place", "queue")

    def __init__(self, name: str) -> None:
        self.name = name
        self.place = 0.0
        self.listed = False  # it has a place among those that are to have a turn
        self.queue: deque[Turn[T]] = deque()
        self.going_on = 0  # requests of it that were begun and are not answered

    @property
    def waiting(self) -> int:
        """Its requests that are not answered."""
        return len(self.queue) + self.going_on


class Turn(NamedTuple, Generic[T]):
    """What waits, of whom, and since when."""

    account: Account[T]
    item: T
    since: float


class Pace:
    """How long those that wait for something take, by the time between two that were done while many waited.

    One that `keeps` what it has learned knows it after a silence, too: all that come at once then are begun before
    the first of them is done.
    """

    __slots__ = ("_done", "_keeps", "_last", "_learned", "_number", "_seen", "mean", "step", "tight", "waiting")

    def __init__(self, *, keeps: bool) -> None:
        self._keeps = keeps
        self._learned = 0.0  # seconds; 0: nothing yet
        self.waiting = 0
        self.tight = False  # those that wait take half of the bound or more
        self.mean = 0.0  # seconds
        self.step = 0.0  # seconds between the last ones that were done while others waited, few or many
        self._done = 0.0  # when one was done while another waited; 0: none did
        self._last = 0.0  # when one was done; 0: few waited then
        self._number = 0  # done since
        self._seen = 0  # that the mean is of, since many wait

    @property
    def delay(self) -> float:
        """How long, in seconds, those that wait now will take in all."""
        return self.waiting * self.mean

    def done(self, now: float, few: int, likely: float) -> None:
        """Take in that one was done. Where few have waited, a mean begins with what is likely, or was learned."""
        if self._done:
            took = min(now - self._done, _LONGEST)
            self.step += (took - self.step) * _STEP_WEIGHT if self.step else took
        self._done = now if self.waiting > 1 else 0.0
        if self.waiting < few:
            self._last, self._seen, self.mean = 0.0, 0, self._learned or likely
        elif self._last:
            self._number += 1
            if (took := now - self._last) >= _TOGETHER_SECONDS:
                self._learn(took)
                self._last, self._number = now, 0
        else:
            self._last, self._number, self.mean = now, 0, self._learned or likely

    def _learn(self, took: float) -> None:
        number = self._number
        self._seen += number
        weight = min(1.0, max(number * _WEIGHT, number / self._seen))
        self.mean += (min(took / number, _LONGEST) - self.mean) * weight
        if self._keeps and self._seen * _WEIGHT >= 1:
            self._learned = self.mean


class Fairness(Generic[T]):
    """Turns of all accounts. `bound`: seconds that all may wait before those above their share are refused.

    Who waits in a task waits for a store, or threads. Nobody tells which; requests of a kind wait for the same.
    """

    def __init__(self, bound: float) -> None:
        self.bound: Final = bound
        self.going_on = 0
        self.tight = 0  # kinds of requests that go on and take half of the bound, or more
        self.sliced = False  # some of these wait for slices
        self._accounts: dict[str, Account[T]] = {}
        self._line: list[tuple[float, int, Account[T]]] = []
        self._order = itertools.count()
        self._place = 0.0  # of the turn that was given last
        self._asking = 0  # accounts with requests that are not answered
        self._cost = 0.0  # seconds of a turn, in the mean
        self._turns = Pace(keeps=False)  # requests of all kinds: what one took says little of the next
        self._kinds: dict[str, Pace] = {}  # of requests that go on
        self._sweep = _SWEEP
        self._seen: tuple[set[str], set[str]] = set(), set()  # accounts that asked lately, and before
        self._lately = 0  # how many these are
        self._turned = 0.0  # when these were told apart last

    def account(self, name: str, now: float) -> Account[T]:
        """Return the account of that name, of which something is asked."""
        if now - self._turned > _LATELY:
            recent = self._seen[0] if now - self._turned < 2 * _LATELY else set()
            self._seen, self._turned, self._lately = (set(), recent), now, len(recent)
        if name not in self._seen[0]:
            # Counted up: to count those of both anew for each account would take longer than its request.
            self._seen[0].add(name)
            self._lately += name not in self._seen[1]
        found = self._accounts.get(name)
        if found is None:
            if len(self._accounts) >= self._sweep:
                self._forget()
            found = self._accounts[name] = Account(name)
        return found

    @property
    def queued(self) -> int:
        """Requests that wait for a turn."""
        return self._turns.waiting

    @property
    def crowded(self) -> bool:
        """True while one account or more ask beside those that wait."""
        return self._lately > 1

    def refuses(self, account: Account[T], pace: Pace) -> bool:
        """Tell whether one more of an account, of a kind, is too much: all wait too long, and it has its share."""
        queued = self.queued
        # What is done in slices takes more than its turn, which the first of many turns tell nothing of.
        each = max(self._cost, self._turns.mean, pace.step if self.sliced else 0.0)
        delay = queued * each if queued >= FEW_QUEUED else 0.0
        if pace.waiting >= FEW_GOING_ON:
            delay += pace.delay
        return delay > self.bound and account.waiting * self._asking >= queued + self.going_on

    def modest(self, account: Account[T]) -> bool:
        """Tell whether an account has had hardly more than those that wait, and so need not."""
        idle = not account.queue and account.going_on < self._most()
        return idle and self.queued > 0 and account.place <= self._place + _CREDIT

    def put(self, account: Account[T], item: T, now: float) -> None:
        """Have an item wait for its account's turn."""
        if not account.waiting:
            self._asking += 1
        account.queue.append(Turn(account, item, now))
        self._turns.waiting += 1
        self._list(account)

    def take(self, now: float) -> Turn[T] | None:
        """Return whose turn it is; None where nobody waits, or all who do have as much going on as they may."""
        most = self._most()
        while self._line:
            place, _, account = heapq.heappop(self._line)
            account.listed = False
            if not account.queue or account.going_on >= most:
                continue
            self._place = max(self._place, place)
            self._turns.done(now, FEW_QUEUED, self._cost)
            self._turns.waiting -= 1
            turn = account.queue.popleft()
            if not account.waiting:
                self._asking -= 1
            return turn
        return None

    @property
    def ready(self) -> bool:
        """True while somebody may have a turn."""
        return bool(self._line)

    def cost(self, account: Account[T], seconds: float) -> None:
        """Count what a turn has taken of the processor; its account waits for its next one."""
        account.place = max(account.place, self._place) + seconds
        if account.queue:
            self._list(account)
        elif not self.queued and not self._line:
            self._begin_anew()

    def learn(self, seconds: float) -> None:
        """Take in how long a turn was."""
        self._cost += (seconds - self._cost) * _WEIGHT

    def kind(self, name: str) -> Pace:
        """Return what is known of those of a kind that go on."""
        found = self._kinds.get(name)
        if found is None:
            if len(self._kinds) >= _KINDS:
                self._kinds = {kind: pace for kind, pace in self._kinds.items() if pace.waiting}
            found = self._kinds[name] = Pace(keeps=True)
        return found

    def go_on(self, account: Account[T], pace: Pace) -> None:
        """Count a request that goes on in a task, until `end`."""
        if not account.going_on and not account.queue:
            self._asking += 1
        account.going_on += 1
        self.going_on += 1
        pace.waiting += 1
        if pace.waiting >= FEW_GOING_ON:
            self._judge(pace)

    def end(self, account: Account[T], pace: Pace, now: float) -> None:
        """Count its answer."""
        pace.done(now, FEW_GOING_ON // 2, self._cost)
        pace.waiting -= 1
        if pace.tight or pace.waiting >= FEW_GOING_ON:
            self._judge(pace)
        account.going_on -= 1
        self.going_on -= 1
        if account.queue:
            self._list(account)
        elif not account.going_on:
            self._asking -= 1

    def _judge(self, pace: Pace) -> None:
        tight = pace.waiting >= FEW_GOING_ON and pace.delay > self.bound / 2
        self.tight += tight - pace.tight
        pace.tight = tight

    def _list(self, account: Account[T]) -> None:
        if not account.listed:
            account.listed = True
            account.place = max(account.place, self._place)
            heapq.heappush(self._line, (account.place, next(self._order), account))

    def _most(self) -> int:
        """Return how many of one account may go on at once: any number where it is alone, and waits for others."""
        if self.sliced:
            return max(_EACH, _SLICED // max(1, self._lately))
        return max(_EACH, _TOGETHER // self._lately) if self._lately > 1 else self.going_on + 1

    def _begin_anew(self) -> None:
        """Forget what turns have cost: nobody waits, so nobody has had more than was there."""
        self._place = 0.0
        for account in self._accounts.values():
            account.place = 0.0
        self._forget()

    def _forget(self) -> None:
        """Let go of accounts that wait for nothing, and have had no more than others since."""
        self._accounts = {
            name: each for name, each in self._accounts.items() if each.waiting or each.place > self._place
        }
        self._sweep = max(_SWEEP, 2 * len(self._accounts))
