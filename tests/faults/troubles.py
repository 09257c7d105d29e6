"""What goes wrong around the processes of a run, and for how long."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.faults.link import Link
from tests.faults.rest import let_leases_end
from tests.faults.schedule import Action
from tests.faults.stage import Stage

_STATEMENTS = 25
"""A connection breaks within this many of them."""
_ANSWER_BYTES = 1500
_AWAY_SECONDS = 30
_SILENT_SECONDS = 45
_STOPPED_SECONDS = 60
_CLOCK_ERRORS = (-3600, -600, -60, -15, 15, 60, 600, 3600)


class Troubles:
    """One method per trouble. What occurs later is counted by the part to which it happens."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._facts = stage.facts
        self._world = stage.world

    async def cut(self, action: Action) -> None:
        self._link(action).cut(int(action.amount * _STATEMENTS))

    async def lose_answer(self, action: Action) -> None:
        self._link(action).lose_answer(int(action.amount * _STATEMENTS))

    async def cut_answer(self, action: Action) -> None:
        """Cut the connection during an answer, after any of its bytes."""
        after, part = divmod(action.amount * _STATEMENTS, 1)
        self._link(action).lose_answer(int(after), told_bytes=int(part * _ANSWER_BYTES))

    async def database_away(self, action: Action) -> None:
        await self._for_a_while(action, _AWAY_SECONDS, [p.link.refuse for p in self._processes])

    async def database_silent(self, action: Action) -> None:
        """Neither answers nor closes: for all, for one, or for one whose messages still arrive."""
        is_all = action.amount < 0.3
        links = [p.link for p in self._processes] if is_all else [self._link(action)]
        for link in links:
            link.fall_silent(is_heard=action.amount > 0.65)
        await asyncio.sleep(action.amount * _SILENT_SECONDS)
        for link in links:
            link.speak()

    async def disk_full(self, action: Action) -> None:
        await self._for_a_while(action, _AWAY_SECONDS, [p.link.fill_disk for p in self._processes])

    async def agents_away(self, action: Action) -> None:
        self._facts.met["agents_away"] += 1
        await self._for_a_while(action, _AWAY_SECONDS, [_switch(self._world.agents)])

    async def gateway_away(self, action: Action) -> None:
        self._facts.met["gateway_away"] += 1
        await self._for_a_while(action, _AWAY_SECONDS, [_switch(self._world.gateway)])

    async def clock_jump(self, action: Action) -> None:
        self._facts.met["clock_jump"] += 1
        self._stage.clock.jump_seconds += (action.amount - 0.3) * 100

    async def clock_off(self, action: Action) -> None:
        """One process's clock is off by seconds up to an hour, for the rest of the run."""
        if self._stage.schedule.is_calm and not self._link(action).has_clock:
            # SQLite's processes share a host and its clock: one that is off is a real fault.
            return
        self._facts.met["clock_off"] += 1
        error = _CLOCK_ERRORS[int(action.amount * len(_CLOCK_ERRORS))]
        self._stage.chosen(action).clock_error.seconds = error * (0.5 + action.amount)

    async def stop(self, action: Action) -> None:
        """Stop a process, often past its leases, and let it continue."""
        process = self._stage.chosen(action)
        self._facts.met["process_stopped"] += 1
        process.stop()
        await asyncio.sleep(action.amount * _STOPPED_SECONDS)
        if action.amount > 0.3 and not process.is_killed:
            await let_leases_end(self._stage, {process.ctx.process_id})
        process.go_on()

    async def kill(self, action: Action) -> None:
        process = self._stage.chosen(action)
        self._facts.met["process_killed"] += 1
        self._facts.dead_owners.add(process.ctx.process_id)
        process.kill()
        await self._stage.start_process()

    async def restart(self, action: Action) -> None:
        process = self._stage.chosen(action)
        self._facts.met["process_restarted"] += 1
        self._facts.dead_owners.add(process.ctx.process_id)
        process.end()
        await self._stage.start_process()

    @property
    def _processes(self) -> list[Any]:
        return self._stage.processes

    def _link(self, action: Action) -> Link:
        return self._stage.chosen(action).link

    async def _for_a_while(
        self, action: Action, seconds: float, switches: list[Callable[[bool], None]]
    ) -> None:
        for switch in switches:
            switch(True)
        await asyncio.sleep(action.amount * seconds)
        for switch in switches:
            switch(False)


def _switch(peer: Any) -> Callable[[bool], None]:
    def switch(is_down: bool) -> None:
        peer.is_down = is_down

    return switch
