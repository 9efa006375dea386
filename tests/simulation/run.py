"""One simulation: a seed, and all that follows from it."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from kms_actors.actors.cluster import trimming
from kms_actors.actors.cluster.changes import LOG
from kms_actors.check.walk import check
from kms_actors.cli.private_file import create_private
from tests.simulation import sources
from tests.simulation.chaos import Chaos
from tests.simulation.database import Database
from tests.simulation.loop import VirtualLoop
from tests.simulation.native import OUTSIDE, Sky
from tests.simulation.workloads.activity import Activity
from tests.simulation.workloads.base import Workload
from tests.simulation.workloads.biscuits import Biscuits
from tests.simulation.workloads.bounds import Bounds
from tests.simulation.workloads.logins import Logins
from tests.simulation.workloads.mounts import Mounts
from tests.simulation.workloads.policies import Policies
from tests.simulation.workloads.recoveries import Recoveries
from tests.simulation.workloads.registers import Registers
from tests.simulation.workloads.rekeys import Rekeys
from tests.simulation.workloads.roots import Roots
from tests.simulation.workloads.seals import Seals
from tests.simulation.workloads.tokens import Tokens
from tests.simulation.workloads.transit import Keys
from tests.simulation.world import Broken, World

WORKLOADS: Final[dict[str, Callable[[World], Workload]]] = {
    "registers": Registers,
    "transit": Keys,
    "tokens": Tokens,
    "logins": Logins,
    "mounts": Mounts,
    "policies": Policies,
    "biscuits": Biscuits,
    "recoveries": Recoveries,
    "rekeys": Rekeys,
    "roots": Roots,
    "seals": Seals,
    "activity": Activity,
    "bounds": Bounds,
}
#: Virtual seconds of work, then of rest before it is judged.
_WORK: Final = (20.0, 60.0)
_REST: Final = 12.0
#: Virtual seconds in which nobody asks for anything, but nodes do what they do by themselves, and things go wrong.
_NIGHT: Final = (180.0, 900.0)
_KEPT: Final = trimming.KEPT  # which one of the workloads shortens


class Outcome(msgspec.Struct, frozen=True):
    """What a run came to. `broken` is empty where every promise held."""

    seed: int
    broken: str
    seconds: float
    operations: int
    commits: int
    faults: dict[str, int]
    met: dict[str, int]
    digest: str
    last: list[str]


def simulate(seed: int, only: Sequence[str] = (), nights: int = 0) -> Outcome:
    """Run one seed; `only` names workloads, otherwise some are drawn. `sources.replace` comes before.

    After each of `nights`, long silences, clients go on with what they know from before.
    """
    gc.collect()  # what the run before has left
    vars(trimming)["KEPT"] = _KEPT
    chance = random.Random(seed)
    loop = VirtualLoop(random.Random(seed + 1).random)
    sources.seed(seed, loop)
    sky = Sky(Database(lambda: loop.now), loop, chance)
    logged = _Logged()
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(logged.told)
    with tempfile.TemporaryDirectory() as directory:
        create_private(Path(directory, "master.key"), "5b" * 32)
        world = World(Path(directory), sky, random.Random(seed + 2))
        broken = ""
        try:
            task = loop.create_task(_run(world, only, nights), context=OUTSIDE.copy())
            loop.run_until_complete(task)
            if logged.wrong:
                broken = f"something was logged as wrong: {logged.wrong[:3]}"
        except Broken as error:
            broken = str(error)
        finally:
            for node in world.nodes:
                node.kill()
            loop.set_exception_handler(lambda *_: None)
            loop.close()
    return Outcome(
        seed,
        broken,
        world.now,
        world.operations,
        sky.database.committed,
        world.faults,
        sky.met,
        world.digest,
        list(world.last),
    )


async def _run(world: World, only: Sequence[str], nights: int) -> None:
    await world.begin()
    names = only or world.chance.sample(list(WORKLOADS), world.chance.randint(2, len(WORKLOADS)))
    workloads = [WORKLOADS[name](world) for name in sorted(names)]
    for workload in workloads:
        await workload.prepare()
    chaos = Chaos(world)
    clients = [asyncio.ensure_future(client) for workload in workloads for client in workload.clients()]
    trouble = asyncio.ensure_future(chaos.run())
    done = await _go_on([*clients, trouble], world.chance.uniform(*_WORK))
    for _ in range(nights):
        world.day.clear()
        done |= await _go_on([*clients, trouble], world.chance.uniform(*_NIGHT))
        world.day.set()
        done |= await _go_on([*clients, trouble], world.chance.uniform(*_WORK))
    for task in (*clients, trouble):
        task.cancel()
    await asyncio.gather(*clients, trouble, return_exceptions=True)
    for task in done:
        task.result()
    await chaos.stop()
    await world.settled()
    await world.unseal()
    world.sealed.end(world.now)
    await asyncio.sleep(_REST)
    for workload in workloads:
        await workload.judge()
    await _check(world)


async def _go_on(tasks: Sequence[asyncio.Task[None]], seconds: float) -> set[asyncio.Task[None]]:
    """Let them work for so long, or until one of them fails; return those that have ended."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    return done


async def _check(world: World) -> None:
    """Have every record of the store looked at; lines that were written as bad ones are found bad."""
    report = await check(world.store, None, lambda *_: None)
    wrong = [finding for finding in report.findings if not finding.key.startswith(LOG)]
    if wrong:
        raise Broken(f"the store is not in order: {wrong}")


class _Logged:
    """Takes what the nodes log; what is told as an error is one."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        structlog.configure(
            processors=[structlog.processors.add_log_level, self._take], cache_logger_on_first_use=False
        )
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)

    def told(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take what the loop says; that tasks of a killed node go to waste is as it should be."""
        if "callback" in (message := str(context.get("message"))):
            self.wrong.append(message)

    def _take(self, _: Any, __: str, event: Any) -> Any:
        if event["level"] in {"error", "critical"}:
            self.wrong.append(str({key: value for key, value in event.items() if key != "level"}))
        raise structlog.DropEvent
