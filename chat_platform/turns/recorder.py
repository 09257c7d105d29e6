"""Turns what an agent does into the numbered events of its turn's log, in pieces of a moment."""

import asyncio
from types import TracebackType

from chat_platform.context import AppContext
from chat_platform.ids import TurnId
from chat_platform.ports import StepChanged, TextPiece
from chat_platform.turn_events import TurnEvent, TurnEventType
from chat_platform.turns import log as turn_log
from chat_platform.turns.log import TurnTaken

PIECE_SECONDS = 0.05
"""Text that arrives within this time becomes one event: feels live, costs 20 writes a second."""


class TurnRecorder:
    """Records one turn: what was recorded is in the log when its block is left.

    Text goes to the log at once after a pause, else with what follows soon. With `logged` of a
    run that another process began, the run is expected from its beginning, and what the log
    already has is left out.
    """

    def __init__(self, ctx: AppContext, turn_id: TurnId, *, logged: list[TurnEvent]) -> None:
        self._ctx = ctx
        self._turn_id = turn_id
        self._number = logged[-1].number if logged else 0
        self._known_text = sum(e.width for e in logged if e.type == "message.delta")
        self._known_steps = sum(e.type == "step" for e in logged)
        self._pending: list[TurnEvent] = []
        self._has_pending = asyncio.Event()
        self._writing = asyncio.Lock()
        self.has_text = self._known_text > 0

    async def __aenter__(self) -> "TurnRecorder":
        self._task = asyncio.create_task(self._write_on())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        async with self._writing:
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if not isinstance(error, TurnTaken):
            await self.flush()

    def record(self, event: TextPiece | StepChanged) -> None:
        """Take the event; it reaches the log within a moment. Raises TurnTaken."""
        if self._task.done():
            self._task.result()
        if isinstance(event, TextPiece):
            self._record_text(event.text)
        else:
            self._record_step(event)

    async def flush(self) -> None:
        """Return when all that was recorded is in the log. Raises TurnTaken."""
        async with self._writing:
            events, self._pending = self._pending, []
            if events:
                await turn_log.append(self._ctx, self._turn_id, events)

    def _record_text(self, text: str) -> None:
        known = min(self._known_text, len(text))
        self._known_text -= known
        text = storable(text[known:])
        if not text:
            return
        self.has_text = True
        last = self._pending[-1] if self._pending else None
        if last and last.type == "message.delta":
            self._pending.pop()
            self._number -= last.width
            text = last.data["text"] + text
        self._add("message.delta", {"text": text}, width=len(text))

    def _record_step(self, step: StepChanged) -> None:
        if self._known_steps:
            self._known_steps -= 1
            return
        data = {
            "kind": step.kind,
            "name": storable(step.name),
            "status": step.status,
            "detail": storable(step.detail),
        }
        self._add("step", data)

    def _add(self, type_: TurnEventType, data: dict[str, str], *, width: int = 1) -> None:
        self._number += width
        self._pending.append(TurnEvent(self._number, type_, data))
        self._has_pending.set()

    async def _write_on(self) -> None:
        while True:
            await self._has_pending.wait()
            self._has_pending.clear()
            await self.flush()
            await asyncio.sleep(PIECE_SECONDS)


def storable(text: str) -> str:
    """Return the text as every database can hold it: models say NUL and half characters, too."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
