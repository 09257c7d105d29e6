"""What people do in a run: send, stop, read again, edit their agent's memory."""

import asyncio

from chat_platform.agents import archive
from chat_platform.turns import control
from chat_platform.values.ids import AccountId, TurnId
from tests.faults.facts import Reading
from tests.faults.processes import Process
from tests.faults.schedule import Action
from tests.faults.stage import Stage

_TIMES = 20
"""How often a reader reconnects."""


class People:
    """One method per deed."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._facts = stage.facts

    async def send(self, action: Action) -> None:
        await self._start_turn(action, self._stage.chosen(action))

    async def send_twice(self, action: Action) -> None:
        """The same request to two processes at once, as by a proxy that retries."""
        there, here = self._stage.chosen(action), self._stage.chosen(action, after=1)
        ids = await asyncio.gather(
            self._start_turn(action, there, key=action.text),
            self._start_turn(action, here, key=action.text),
        )
        if None not in ids and ids[0] != ids[1]:
            self._facts.surprises.append(f"one key gave two turns: {ids}")

    async def cancel(self, action: Action) -> None:
        """Stop one of the person's turns, often one that is over."""
        turn_id = self._some_turn(action)
        if turn_id is None:
            return
        self._facts.cancelled.add(turn_id)
        process = self._stage.chosen(action)
        account_id = AccountId(self._facts.people[action.person].id)
        await self._stage.ask_process(
            process, control.cancel_turn(process.ctx, account_id, turn_id)
        )

    async def read(self, action: Action) -> None:
        if turn_id := self._some_turn(action):
            after = int(action.amount * 40) if action.amount < 0.5 else 0
            await self._follow(Reading(turn_id, after), self._stage.chosen(action))

    async def remember(self, action: Action) -> None:
        process = self._stage.chosen(action)
        account = self._facts.people[action.person]
        await self._stage.ask_process(
            process, archive.add_passage(process.ctx, account, f"remember {action.text}")
        )

    async def _start_turn(
        self, action: Action, process: Process, key: str | None = None
    ) -> TurnId | None:
        account = self._facts.people[action.person]
        turn_id = await self._stage.ask_process(
            process,
            control.start_turn(process.ctx, account, text=action.text, idempotency_key=key),
        )
        if turn_id is not None and turn_id not in self._facts.turns:
            self._facts.turns[turn_id] = action.text
            self._facts.by_person.setdefault(account.id, []).append(turn_id)
            self._stage.do(self._follow(Reading(turn_id, 0), process), name=f"follow {action.text}")
        return turn_id

    async def _follow(self, reader: Reading, process: Process) -> None:
        """Read to the end; after an error continue from there at another process."""
        self._facts.readings.append(reader)
        account_id = AccountId(self._owner_of(reader.turn_id))
        for number in range(_TIMES):
            await self._stage.ask_process(process, _read_on(process, account_id, reader))
            if reader.seen and reader.seen[-1].is_end:
                return
            await asyncio.sleep(3)
            serving = self._stage.serving
            process = serving[number % len(serving)]

    def _owner_of(self, turn_id: TurnId) -> str:
        return next(who for who, ids in self._facts.by_person.items() if turn_id in ids)

    def _some_turn(self, action: Action) -> TurnId | None:
        ids = self._facts.by_person.get(self._facts.people[action.person].id, [])
        return ids[int(action.amount * len(ids))] if ids else None


async def _read_on(process: Process, account_id: AccountId, reader: Reading) -> None:
    async for event in control.follow(
        process.ctx, account_id, reader.turn_id, after=reader.reached
    ):
        reader.seen.append(event)
