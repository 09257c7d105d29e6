"""The real server with fakes at the ports, for browser tests and screenshots of the pages.

Serve it with granian: `tests.web_server:app`, as a factory. `FAKE_PACE_SECONDS` is the pause
between two words of an answer. The agent answers by what it is asked, see `script_for`.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from sqlmodel import col, select

import chat_platform.app as server
from chat_platform.adapters.identity.local import LocalIdentity
from chat_platform.billing import budgets
from chat_platform.context import AppContext, app_context
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import UpstreamFailed
from chat_platform.models import Agent, ModelCall
from chat_platform.ports import RunEvent, RunStarted, StepChanged, TextPiece
from chat_platform.turns import control
from chat_platform.values.ids import AccountId, AgentId
from tests.fakes import FakeGateway, FakeMemory, FakeRuntime

PACE_SECONDS = float(os.environ.get("FAKE_PACE_SECONDS", "0.01"))

SHORT = """\
Here is a plan for the weekend, with what you told me in mind.

1. **Saturday**: the market opens at nine. Buy bread and *ripe* tomatoes.
2. **Sunday**: rest, then a walk of about `6 km`.

| what | when | price |
| --- | --- | ---: |
| bread | Saturday | 3.20 |
| train | Sunday | 12.00 |

```python
def total(prices: list[float]) -> float:
    return sum(prices)  # what the weekend costs
```

> Take an umbrella: it may rain.
"""
HOSTILE = """\
<script>document.title = "pwned"</script><img src=x onerror="document.title='pwned'">

[click](javascript:document.title='pwned') and [data](data:text/html,<script>1</script>)

![pixel](https://tracker.example/pixel.png) and [fine](https://example.com/)

```html
<script>document.title = "pwned"</script>
```
"""
CODE = "for price in prices:\n    total = total + price  # of the weekend\n"
PARAGRAPH = (
    "The quick method keeps **one** small piece of text live and freezes the rest, so that each "
    "update touches only the tail and nothing else.\n\n"
)


CALLS = (
    {
        "kind": "chat",
        "model": "demo-chat",
        "prompt_tokens": 1834,
        "completion_tokens": 31,
        "cost_nano_usd": 627_700,
        "total_ms": 900,
    },
    {
        "kind": "embedding",
        "model": "demo-embedding",
        "prompt_tokens": 41,
        "cost_nano_usd": 820,
        "total_ms": 120,
    },
    {
        "kind": "chat",
        "model": "demo-chat",
        "prompt_tokens": 1902,
        "completion_tokens": 212,
        "cost_nano_usd": 1_100_600,
        "total_ms": 2300,
    },
)


def script_for(text: str) -> list[RunEvent | Exception]:
    """What the agent does with a message.

    `fail`, `hostile`, `long <words>` in paragraphs, `code <words>` in one block, else a short
    answer after a step that edits the memory.
    """
    asked = text.split()
    if asked[:1] == ["fail"]:
        return [TextPiece("I began"), UpstreamFailed("The model failed.", code="model_failed")]
    if asked[:1] == ["hostile"]:
        return _pieces(HOSTILE)
    if asked[:1] == ["long"]:
        words = PARAGRAPH.split(" ")
        count = int(asked[1])
        return [TextPiece(words[n % len(words)] + " ") for n in range(count)]
    if asked[:1] == ["code"]:
        words = [TextPiece(word) for word in re.findall(r"\S+\s*", CODE)]
        return [TextPiece("```python\n"), *(words * int(asked[1]))[: int(asked[1])]]
    return [
        StepChanged("model_call", "demo-chat", "started"),
        StepChanged("model_call", "demo-chat", "done"),
        StepChanged("memory_edit", "memory_insert", "started"),
        StepChanged("memory_edit", "memory_insert", "done"),
        StepChanged("model_call", "demo-chat", "started"),
        *_pieces(SHORT),
        StepChanged("model_call", "demo-chat", "done"),
    ]


def _pieces(text: str) -> list[RunEvent | Exception]:
    return [TextPiece(piece) for piece in text.splitlines(keepends=True)]


@dataclass
class PacedRuntime(FakeRuntime):
    """Answers at a reading pace, until it is stopped, and books two model calls per answer."""

    async def run(
        self, agent_id: AgentId, text: str, *, note: str = ""
    ) -> AsyncGenerator[RunEvent, None]:
        self.cancelled = [cancelled for cancelled in self.cancelled if cancelled != agent_id]
        yield RunStarted("run")
        await book_calls(app_context(), agent_id)
        for event in script_for(text):
            await asyncio.sleep(PACE_SECONDS)
            if agent_id in self.cancelled:
                return
            if isinstance(event, Exception):
                raise event
            yield event


@dataclass(frozen=True)
class MailInFolder:
    """Keeps the last mail to each address in a file named after it."""

    folder: Path

    async def send(self, to: str, *, subject: str, text: str) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / to).write_text(text)


async def book_calls(ctx: AppContext, agent_id: AgentId) -> None:
    """Add the calls of a short answer to the ledger, as the proxy would."""
    async with reading(ctx.engine) as session:
        query = select(Agent).where(col(Agent.agent_id) == agent_id)
        account_id = AccountId((await session.exec(query)).one().account_id)
    turn_id = await control.running_turn(ctx, account_id)
    await budgets.set_limit(ctx, account_id)
    shared = {
        "account_id": account_id,
        "agent_id": agent_id,
        "turn_id": turn_id,
        "state": "settled",
        "cost_source": "stream",
        "owner": ctx.process_id,
        "lease_until_ms": 0,
    }
    async with transaction(ctx.engine) as session:
        for call in CALLS:
            session.add(ModelCall(**call, **shared))


@contextlib.asynccontextmanager
async def with_fakes() -> AsyncIterator[None]:
    """Runs inside the server's own lifespan: the same context, with fakes for the peers."""
    real = app_context()
    mailer = MailInFolder(real.settings.data_dir / "mail")
    fakes = replace(
        real,
        runtime=PacedRuntime(),
        memory=FakeMemory(),
        billing=FakeGateway(),
        identity=LocalIdentity(real.engine, mailer=mailer),
    )
    server.serve(fakes)
    yield
    server.serve(real)


app = server.app
app.register_lifespan_task(with_fakes)
