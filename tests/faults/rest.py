"""The end of a run: all trouble ends, and everything comes to rest."""

import asyncio
from contextlib import suppress

from sqlalchemy import update
from sqlmodel import col, select

from chat_platform.billing.reconciliation import reconcile
from chat_platform.database.away import AWAY
from chat_platform.database.engine import reading
from chat_platform.errors import PlatformError
from chat_platform.models import ModelCall, Turn
from chat_platform.turns import control
from tests.faults.processes import Process
from tests.faults.stage import Stage

REST_SECONDS = 400
GIVE_UP_SECONDS = 90
"""After this time the person stops a turn that does not end."""
_RESTED_SECONDS = 5


class Restless(Exception):
    """Something does not come to rest; the message says what."""


async def come_to_rest(stage: Stage) -> Process:
    """End all trouble, and wait until nothing is open; return a new process that observes.

    Raises Restless if something stays open.
    """
    onlooker = await _lift_trouble(stage)
    second = rested = 0
    restless = ["nobody has looked"]
    try:
        async with asyncio.timeout(REST_SECONDS):
            while rested <= _RESTED_SECONDS:
                await asyncio.sleep(1)
                second += 1
                await let_leases_end(stage, stage.facts.dead_owners)
                if second % GIVE_UP_SECONDS == 0:
                    await _give_up_waiting(stage, onlooker)
                restless = await _restless(stage, onlooker)
                rested = 0 if restless else rested + 1
    except TimeoutError:
        raise Restless(f"in its {second}th second: {restless}") from None
    await onlooker.spawn(reconcile(onlooker.ctx))
    return onlooker


async def let_leases_end(stage: Stage, owners: set[str]) -> None:
    """As time would, whichever clock the leases use."""
    running = [process for process in stage.serving if not process.is_stopped]
    for table in (Turn, ModelCall):
        is_open = (
            col(Turn.status) == "running" if table is Turn else col(ModelCall.state) == "dispatched"
        )
        ended = update(table).where(col(table.owner).in_(owners), is_open)
        ended = ended.values(lease_until_ms=1)
        with suppress(*AWAY):
            await running[-1].ctx.writer.write(lambda c, e=ended: c.execute(e) and None)


async def _lift_trouble(stage: Stage) -> Process:
    for process in stage.processes:
        process.link.speak()
        process.link.refuse(False)
        process.link.fill_disk(False)
    stage.world.agents.is_down = stage.world.gateway.is_down = False
    return await stage.start_process()


async def _restless(stage: Stage, onlooker: Process) -> list[str]:
    """Return what is still running."""
    doing = [task.get_name() for task in stage.doing if not task.done()]
    runs = [run.id for run in stage.world.agents.runs if not run.is_over]
    stopped = [p.ctx.process_id for p in stage.processes if p.is_stopped and not p.is_killed]
    return doing + runs + stopped or await onlooker.spawn(_open_things(onlooker))


async def _open_things(process: Process) -> list[str]:
    running = select(Turn).where(col(Turn.status) == "running")
    open_calls = select(ModelCall).where(col(ModelCall.state) == "dispatched")
    async with reading(process.ctx.engine) as session:
        rows = [*await session.exec(running), *await session.exec(open_calls)]
    return [str(row) for row in rows]


async def _give_up_waiting(stage: Stage, onlooker: Process) -> None:
    async with reading(onlooker.ctx.engine) as session:
        rows = (await session.exec(select(Turn).where(col(Turn.status) == "running"))).all()
    for turn in rows:
        stage.facts.cancelled.add(turn.id)
        with suppress(PlatformError):
            cancelling = control.cancel_turn(onlooker.ctx, turn.account_id, turn.id)
            await onlooker.spawn(cancelling)
