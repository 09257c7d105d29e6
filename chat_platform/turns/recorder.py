"""Records what an agent does as numbered events in its turn's log, in short batches."""

import asyncio
import time
from types import TracebackType

from chat_platform.context import AppContext
from chat_platform.database.away import PATIENCE_SECONDS, patiently
from chat_platform.ports import StepChanged, TextPiece
from chat_platform.turns import event_log, metrics
from chat_platform.turns.event_log import TurnTaken
from chat_platform.turns.events import TurnEvent, TurnEventType
from chat_platform.values.ids import TurnId
from chat_platform.values.texts import made_storable

PIECE_SECONDS = 0.05
"""Text that arrives within this time becomes one event: it feels live at 20 writes a second."""


class TurnRecorder:
    """Records one turn: if its block ends without an error, everything recorded is in the log.

    `writing` is the task that writes; it ends only when writing has failed for good. Text after a
    pause is written at once, other text with what follows soon. With `logged` from a run that
    another process began, the run is replayed, and what the log already has is left out.
    """

    def __init__(
        self,
        ctx: AppContext,
        turn_id: TurnId,
        *,
        logged: list[TurnEvent],
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._began = time.monotonic()
        self._patience_seconds = patience_seconds
        self._ctx = ctx
        self._turn_id = turn_id
        self._number = logged[-1].number if logged else 0
        self._known_text = sum(e.width for e in logged if e.type == "message.delta")
        self._known_steps = sum(e.type == "step" for e in logged)
        self._appending: list[TurnEvent] = []
        """Being appended to the log; unchanged until it is known to be there."""
        self._pending: list[TurnEvent] = []
        self._has_pending = asyncio.Event()
        self._writing = asyncio.Lock()
        self.has_text = self._known_text > 0

    async def __aenter__(self) -> "TurnRecorder":
        self.writing = asyncio.create_task(self._write_on())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # An unfinished append stays in `_appending`, and the flush repeats it.
        self.writing.cancel()
        await asyncio.gather(self.writing, return_exceptions=True)
        if error is None:
            await self.flush()

    @property
    def unwritten(self) -> list[TurnEvent]:
        """What was recorded but is not known to be in the log."""
        return [*self._appending, *self._pending]

    def record(self, event: TextPiece | StepChanged) -> None:
        """Record the event; it is written to the log within a moment."""
        if isinstance(event, TextPiece):
            self._record_text(event.text)
        else:
            self._record_step(event)

    async def flush(self) -> None:
        """Return when everything recorded is in the log.

        Raises TurnTaken, or the database's error if an outage lasts; then nothing is lost.
        """
        async with self._writing:
            # First finish what an earlier flush could not.
            await self._append()
            self._appending, self._pending = self._pending, []
            await self._append()

    async def _append(self) -> None:
        if events := self._appending:
            try:
                await patiently(
                    lambda: event_log.append(self._ctx, self._turn_id, events),
                    seconds=self._patience_seconds,
                )
            except TurnTaken:
                self._appending, self._pending = [], []
                raise
            self._appending = []

    def _record_text(self, text: str) -> None:
        known = min(self._known_text, len(text))
        self._known_text -= known
        text = made_storable(text[known:])
        if not text:
            return
        if not self.has_text:
            metrics.observe_first_text(time.monotonic() - self._began)
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
            "name": made_storable(step.name),
            "status": step.status,
            "detail": made_storable(step.detail),
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
