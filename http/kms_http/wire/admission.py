"""When a request is begun: where it was read, as long as nobody waits for long; else when its account has its turn.

A pass of the loop reads from all sockets that have something, and what it reads is answered there and then. So who is
read late in a pass waits for all before him: that is the lag. Once it is above `TURN_SECONDS`, what is still read in
that pass waits for turns (`fairness`), which are given between passes, for as long again each time. Where turns
cannot keep up, the accounts that ask for more than their share get 503. A connection that got one is not read from
for a moment, so that refusals do not fill the time of the rest.

Where others ask beside those that wait, nobody is to feel more than the shortest step there is: a pass has one turn,
or one slice of a long request, which is cut more finely then, and none while a request of others is under way.

See decisions 64 and 69.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from kms_actors.runtime import Turns
from kms_http.wire import errors
from kms_http.wire.fairness import FEW_QUEUED, Account, Fairness, Pace, Turn
from kms_http.wire.passes import FREE
from kms_http.wire.refusals import Refusals
from kms_http.wire.request import Request
from kms_http.wire.response import Response

if TYPE_CHECKING:
    from kms_http.wire.connection import Connection
    from kms_http.wire.passes import Outbox

#: Seconds of a pass in which requests are begun.
TURN_SECONDS: Final = 0.002
#: The same where others ask: one turn of what takes long, and a few of what does not.
SHORT_SECONDS: Final = 0.0002
#: How many times the bound a request may wait, if that was foreseen badly.
_LATE: Final = 1.6
#: Seconds for which a connection is not read from after a refusal; and how many are read from again in one pass,
#: since each of them may be refused again there: so many more for each `_OVERDUE` seconds that they are late.
REST_SECONDS: Final = 0.025
_WAKE: Final = 4
_OVERDUE: Final = 0.001
#: The same where others ask, however late: a client that comes again at once can wait.
_WAKE_CROWDED: Final = 1
#: Whose turns those are, among the vaults whose requests are done in slices.
_OWNER: Final = "begin"

#: Requests that go on in tasks before it is counted whose they are.
UNCOUNTED: Final = 8

AccountOf = Callable[[Request], str]
Item = tuple["Connection", Request]


def kind_of(request: Request) -> str:
    """Return what requests have in common that wait for the same: method, mount and operation, in most cases."""
    return f"{request.method} {request.target.split('/', 4)[2:4]}"


class Admission:
    """One to a server. The outbox knows passes of the loop, and takes answers."""

    def __init__(
        self,
        account_of: AccountOf,
        refusals: Refusals,
        outbox: Outbox,
        *,
        slices: Turns,
        bound: float,
        clock: Callable[[], float],
        cpu: Callable[[], float],
    ) -> None:
        self._clock, self._cpu = clock, cpu
        self._slices = slices
        self._account_of = account_of
        self._refusals = refusals
        self._outbox = outbox
        self._loop = outbox.loop
        self._turns: Fairness[Item] = Fairness(bound)
        self._open = True  # a request may be begun where it was read, as far as is known of others
        self._started = 0.0  # when this pass had a second request; 0 before
        self._begun = 0  # requests since
        self.going_on = 0  # requests in tasks
        self._coming = False  # turns are about to be given
        self._resting: deque[tuple[float, Connection]] = deque()
        self._waking = False  # about to look at these
        outbox.passed = self._pass_over

    @property
    def waiting(self) -> int:
        """Requests that wait for a turn."""
        return self._turns.queued

    def take(self, connection: Connection, request: Request) -> None:
        """Begin a request that is not the only one of its pass, have it wait for its turn, or refuse it."""
        now = self._clock()
        if not self._started:
            self._started = now
            self._outbox.watch()
        elif self._open and now - self._started > TURN_SECONDS:
            self._turns.learn((now - self._started) / max(1, self._begun))
            self._open = False
        if self._open:
            self._begun += 1
            connection.take_up(request)
        else:
            self._offer(connection, request, now)

    def has_too_many(self, request: Request) -> bool:
        """Tell whether a request that was begun with its head is refused, now that it has come whole."""
        if self._open:
            return False
        turns = self._turns
        pace = turns.kind(kind_of(request))
        refused = pace.tight and turns.refuses(turns.account(self._account_of(request), self._clock()), pace)
        if refused:
            self._refusals.add("overload")
        return refused

    def _offer(self, connection: Connection, request: Request, now: float) -> None:
        turns = self._turns
        account = turns.account(self._account_of(request), now)
        self._slices.crowded = turns.crowded
        turns.sliced = self._slices.waiting
        if turns.refuses(account, turns.kind(kind_of(request))):
            self._refuse(connection, request, "overload")
        elif not turns.queued and now - self._started <= (SHORT_SECONDS if turns.crowded else TURN_SECONDS):
            connection.take_up(request)
        elif turns.modest(account):
            began = self._cpu()
            connection.take_up(request)
            turns.cost(account, self._cpu() - began)
            self._outbox.write()
            if self._slices.crowded and connection.busy:
                self._slices.let_go_first(lambda: connection.busy)
        else:
            turns.put(account, (connection, request), now)
            self._give_soon()

    def _pass_over(self) -> None:
        self._started, self._begun = 0.0, 0
        self._judge()

    def count(self, request: Request) -> tuple[Account[Item], Pace]:
        """Count whose a request is that goes on in a task, where many do; return what `discount` wants."""
        turns = self._turns
        account = turns.account(self._account_of(request), self._clock())
        pace = turns.kind(kind_of(request))
        turns.go_on(account, pace)
        if turns.tight:
            self._shut()
        return account, pace

    def discount(self, account: Account[Item], pace: Pace) -> None:
        """See `count`."""
        self._turns.end(account, pace, self._clock())
        if account.queue:
            self._give_soon()
        elif self._open != (not self._turns.tight):
            self._judge()

    def _judge(self) -> None:
        if self._turns.queued or self._turns.tight or (self._turns.crowded and self._slices.waiting):
            self._shut()
        else:
            self._open, self._slices.crowded, self._turns.sliced = True, False, False
            self._outbox.free = self._outbox.frees = FREE

    def _shut(self) -> None:
        """Have every request come to `take`."""
        self._open = False
        self._outbox.free = self._outbox.frees = 0

    def _give_soon(self) -> None:
        self._shut()
        if self._coming:
            return
        self._coming = True
        if self._slices.crowded:
            self._slices.call(_OWNER, self._give, self._loop)
        else:
            self._loop.call_soon(self._give)

    def _give(self) -> None:
        """Give turns for a while, and come again in the next pass if there are more to give."""
        self._coming = False
        turns, now = self._turns, self._clock()
        turns.sliced = self._slices.waiting
        end = now + (SHORT_SECONDS if self._slices.crowded else TURN_SECONDS)
        while now < end and (turn := turns.take(now)) is not None:
            began = self._cpu()
            self._begin(turn, now)
            cost = self._cpu() - began
            turns.cost(turn.account, cost)
            turns.learn(cost)
            now = self._clock()
        self._outbox.write()
        if turns.ready:
            self._give_soon()
        else:
            self._judge()

    def _begin(self, turn: Turn[Item], now: float) -> None:
        connection, request = turn.item
        if connection.lost:
            connection.give_back()
        elif self._turns.queued >= FEW_QUEUED and now - turn.since > _LATE * self._turns.bound:
            self._refuse(connection, request, "late")
        else:
            connection.take_up(request)

    def _refuse(self, connection: Connection, request: Request, reason: str) -> None:
        self._refusals.add(reason)
        connection.send(request, Response(503, errors.BUSY, errors.RETRY))
        if connection.rest():
            self._resting.append((self._clock() + REST_SECONDS, connection))
            self._wake_later(REST_SECONDS)

    def _wake_later(self, seconds: float) -> None:
        if not self._waking:
            self._waking = True
            self._loop.call_later(seconds, self._wake)

    def _wake(self) -> None:
        """Read on from some connections that were refused a while ago."""
        self._waking = False
        now = self._clock()
        if self._resting:
            for _ in range(self._to_wake(now)):
                if not self._resting or self._resting[0][0] > now:
                    break
                self._resting.popleft()[1].wake()
        if self._resting:
            least = _OVERDUE if self._turns.crowded else TURN_SECONDS
            self._wake_later(max(least, self._resting[0][0] - now))

    def _to_wake(self, now: float) -> int:
        if self._turns.crowded:
            return _WAKE_CROWDED
        return int(_WAKE * (1 + max(0.0, now - self._resting[0][0]) / _OVERDUE))
