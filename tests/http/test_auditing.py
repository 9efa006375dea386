"""When entries are made, and what waits for them: before a change, and before an answer leaves."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import msgspec
import pytest

from kms_actors.audit.facts import Answered, Asked, Entered
from kms_actors.audit.messages import DisableDevice
from kms_actors.errors import DevicesChanged
from kms_actors.mounts import MountConfig, MountTable, token_mount
from kms_http.exchange import Exchange
from tests.http.conftest import CANARY, VAULT_ID, Service, ToyCommand, ToyQuery

Told = tuple[str, Asked, Any]


class FakeTrail:
    """Devices that say what they are told to, in the order of `good`, and then always the last."""

    revision = 7

    def __init__(self, *good: bool) -> None:
        self.good = list(good) or [True]
        self.entries: list[Told] = []

    async def prepare(self, entered: Entered, answered: Answered | None = None) -> None:
        self.entries.append(("prepare", entered.asked, answered))

    def hasten(self) -> None: ...

    def now(self) -> int:
        return 0

    def request(self, entered: Entered, error: str = "") -> tuple[asyncio.Future[bool], ...]:
        self.entries.append(("request", entered.asked, error))
        entered.made = True
        return (self._outcome(),)

    def answer(self, entered: Entered, answered: Answered, _: Any = None) -> tuple[asyncio.Future[bool], ...]:
        self.entries.append(("answer", entered.asked, answered))
        return (self._outcome(),)

    def _outcome(self) -> asyncio.Future[bool]:
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        good = self.good.pop(0) if len(self.good) > 1 else self.good[0]
        asyncio.get_running_loop().call_later(0.01, outcome.set_result, good)
        return outcome

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.entries]


@pytest.fixture
def trail(service: Service) -> FakeTrail:
    service.tenant.trail = made = FakeTrail()
    service.tenant.answers |= {ToyQuery: "done", ToyCommand: "done"}
    return made


async def test_a_request_and_its_answer_have_an_entry_each(service: Service, trail: FakeTrail) -> None:
    answer = await service.call("POST", "/v1/toy/names/a", "data", json={"text": "t"})
    assert answer.status == 200
    (_, asked, error), (_, again, answered) = trail.entries
    assert (asked.id, asked.path, asked.operation) == (answer.json["request_id"], "toy/names/a", "update")
    assert (asked.data, asked.token, asked.namespace, error) == ({"text": "t"}, "data", VAULT_ID, "")
    assert asked.remote == "127.0.0.1"
    assert asked.port > 0
    assert asked.place is not None
    assert asked.place.path == "toy/"
    assert again is asked
    assert answered.data == {"result": "done"}


async def test_what_the_mount_of_tokens_shows_is_shown(service: Service, trail: FakeTrail) -> None:
    config = MountConfig(audit_non_hmac_request_keys=("display_name",), audit_non_hmac_response_keys=("ttl",))
    for tuned in (None, msgspec.structs.replace(token_mount(VAULT_ID), config=config)):
        service.tenant.mounts = MountTable([*service.tenant.mounts, *([] if tuned is None else [tuned])])
        await service.call("GET", "/v1/auth/token/lookup-self", "root")
        place = trail.entries[-1][1].place
        assert place is not None
        assert (place.path, place.type) == ("auth/token/", "token")
        shown = (place.shown_of_requests, place.shown_of_answers)
        assert shown == ((frozenset(), frozenset()) if tuned is None else ({"display_name"}, {"ttl"}))


async def test_without_devices_nothing_is_entered(service: Service) -> None:
    service.toys_answer("done")
    assert (await service.call("GET", "/v1/toy/names/a", "data")).status == 200


@pytest.mark.parametrize(
    ("good", "asked"),
    [((False,), False), ((True, False), True)],
)
async def test_an_answer_leaves_only_if_all_is_recorded_and_a_change_waits_for_its_entry(
    service: Service, good: tuple[bool, ...], asked: bool
) -> None:
    """Of a command that the store does not decide, the edge itself waits; the entry of the answer comes after it."""
    service.tenant.trail = FakeTrail(*good)
    service.toys_answer("done")
    answer = await service.call("DELETE", "/v1/toy/names/a", "data")
    assert answer.status == 500
    assert answer.errors[0].startswith("internal error: no audit device could record the request ")
    assert [type(message) for message in service.tenant.asked] == ([ToyCommand] if asked else [])


async def test_what_only_looks_waits_once(service: Service) -> None:
    """It is asked while its entry is written: nothing of it leaves before."""
    service.tenant.trail = trail = FakeTrail(False)
    service.toys_answer(CANARY)
    answer = await service.call("GET", "/v1/toy/names/a", "data")
    assert [type(message) for message in service.tenant.asked] == [ToyQuery]
    assert answer.status == 500
    assert CANARY.encode() not in answer.body
    assert trail.kinds == ["request", "answer"]


async def test_what_is_refused_is_entered_too(service: Service, trail: FakeTrail) -> None:
    assert (await service.call("GET", "/v1/toy/names/a", "nothing")).status == 403
    assert (await service.call("GET", "/v1/nosuch/x", "data")).status == 404
    assert (await service.call("POST", "/v1/toy/names/a", "data", data=b"{")).status == 400
    assert (await service.call("POST", "/v1/toy/names/a", "data", json={"limit": "x"})).status == 400
    assert (await service.call("POST", "/v1/toy/names", "data")).status == 405
    service.toys_answer(DevicesChanged)
    assert (await service.call("POST", "/v1/toy/names/a", "data", json={})).status == 503
    assert trail.kinds == ["request", "answer"] * 6
    texts = [answered.error for kind, _, answered in trail.entries if kind == "answer"]
    assert "permission denied" in texts[0]
    assert "no handler for route" in texts[1]
    assert texts[2] == "error parsing JSON"
    assert "limit" in texts[3]
    assert "unsupported operation" in texts[4]
    assert "devices were changed" in texts[5]
    allowed = [asked.allowed for kind, asked, _ in trail.entries if kind == "request"]
    assert allowed == [False, True, True, True, True, True]


async def test_a_refusal_that_cannot_be_recorded_is_another_one(service: Service) -> None:
    service.tenant.trail = FakeTrail(False)
    assert (await service.call("GET", "/v1/toy/names/a", "nothing")).status == 500


@pytest.mark.parametrize("path", ["sys/health", "sys/seal-status", "sys/leader", "sys/init"])
async def test_what_anybody_may_look_at_has_no_entry(service: Service, trail: FakeTrail, path: str) -> None:
    assert (await service.call("GET", f"/v1/{path}", "data")).status == 200
    assert trail.entries == []


async def test_many_values_are_masked_before_their_entry(service: Service, trail: FakeTrail) -> None:
    service.toys_answer(["x"] * 10_000)
    answer = await service.call("POST", "/v1/toy/names/a", "data", json={"text": "x" * 100_000})
    assert answer.status == 200
    assert trail.kinds == ["prepare", "request", "prepare", "answer"]


async def test_devices_belong_to_operators(service: Service) -> None:
    for token, status in (("data", 403), ("root", 204)):
        assert (await service.call("DELETE", "/v1/sys/audit/a/b", token)).status == status
    assert [message for message in service.tenant.asked if isinstance(message, DisableDevice)] == [
        DisableDevice("a/b/")
    ]
    assert (await service.call("DELETE", "/v1/sys/audit/a", "operator")).status == 204
    assert service.backend.asked[-1] == DisableDevice("a/")


async def test_what_leaves_in_the_place_of_an_answer_is_what_is_counted(service: Service) -> None:
    service.tenant.trail = FakeTrail(True, False)
    service.toys_answer("done")
    assert (await service.call("GET", "/v1/toy/names/a", "data")).status == 500
    assert [status for _, status, _ in service.observed] == [500]


async def test_answers_that_are_ready_together_share_a_write(service: Service) -> None:
    """Nobody waits for lines one by one: what holds an answer is written when the answers of a turn are sent."""
    service.tenant.trail = trail = Gathering()
    service.toys_answer("done")
    answers = await asyncio.gather(*(service.call("GET", "/v1/toy/names/a", "data") for _ in range(12)))
    assert [answer.status for answer in answers] == [200] * 12
    assert sum(trail.writes) == 24
    assert len(trail.writes) < 12


class Gathering(FakeTrail):
    """Writes when it is hastened, all that waits."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[int] = []
        self._waiting: list[asyncio.Future[bool]] = []

    def hasten(self) -> None:
        for outcome in self._waiting:
            outcome.set_result(True)
        self.writes.append(len(self._waiting))
        self._waiting = []

    def _outcome(self) -> asyncio.Future[bool]:
        self._waiting.append(asyncio.get_running_loop().create_future())
        return self._waiting[-1]


async def test_a_client_that_has_gone_leaves_nothing_behind(service: Service) -> None:
    """Its answer is held, and counted once its entries are written."""
    service.tenant.trail = FakeTrail()
    service.toys_answer("done")
    _, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
    writer.write(b"GET /v1/toy/names/a HTTP/1.1\r\nHost: a\r\nX-Vault-Token: data\r\n\r\n")
    await writer.drain()
    writer.transport.abort()
    async with asyncio.timeout(5):
        while not service.observed or service.server.open_connections:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)
    assert [status for _, status, _ in service.observed] == [200]


async def test_an_entry_that_cannot_be_made_withholds_its_own_answer_alone(service: Service) -> None:
    class Losing(FakeTrail):
        def answer(self, entered: Entered, answered: Answered, _: Any = None) -> tuple[asyncio.Future[bool], ...]:
            entered.lost = entered.asked.path.endswith("/bad")
            return super().answer(entered, answered)

    service.tenant.trail = Losing()
    service.toys_answer("done")
    names = ("a", "bad", "b")
    answers = await asyncio.gather(*(service.call("GET", f"/v1/toy/names/{name}", "data") for name in names))
    assert [answer.status for answer in answers] == [200, 500, 200]


async def test_an_answer_that_is_there_before_its_request_was_entered_is_entered_with_it(service: Service) -> None:
    class Late(Gathering):
        def request(self, entered: Entered, error: str = "") -> tuple[asyncio.Future[bool], ...]:
            outcomes = super().request(entered, error)
            entered.made = False
            self.waiting = entered
            return outcomes

    service.tenant.trail = trail = Late()
    service.toys_answer("done")
    assert (await service.call("GET", "/v1/toy/names/a", "data")).status == 200
    assert trail.kinds == ["request"]
    assert trail.waiting.answered is not None
    assert trail.waiting.answered.data == {"result": "done"}


def exchanges() -> int:
    return sum(isinstance(each, Exchange) for each in gc.get_objects())


async def test_a_request_that_no_device_takes_leaves_nothing_for_a_collection_of_cycles(service: Service) -> None:
    class Deaf(FakeTrail):
        def request(self, entered: Entered, error: str = "") -> tuple[asyncio.Future[bool], ...]:
            return ()

        def answer(self, entered: Entered, answered: Answered, _: Any = None) -> tuple[asyncio.Future[bool], ...]:
            return ()

    service.tenant.trail = Deaf()
    service.toys_answer("done")
    await service.call("GET", "/v1/toy/names/a", "data")
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            assert (await service.call("GET", "/v1/toy/names/a", "data")).status == 200
        left = exchanges()
        gc.collect()
        assert exchanges() == left
    finally:
        gc.enable()
