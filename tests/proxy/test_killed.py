"""The server is killed at random moments under load; the ledger must still add up."""

import asyncio
import multiprocessing
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import count

import httpx
import pytest
import uvicorn
from sqlmodel import select

from benchmarks.proxy import ours
from benchmarks.proxy.peers.processes import free_port
from chat_platform.billing.ledger_rows import LEASE_SECONDS
from chat_platform.billing.reconciliation import reconcile
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.models import Budget, ModelCall
from chat_platform.values.clock import now_ms
from tests.ledger_entries import Payer, intent, opened
from tests.proxy.fake_upstream import FakeUpstream, completion, whole_stream
from tests.waiting import eventually_found

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

KILLS = 50
AT_ONCE = 12

# It has imported the proxy: fifty servers start in the time of one.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([ours.__name__])


@asynccontextmanager
async def _server(url: str, upstream: FakeUpstream) -> AsyncIterator[tuple[int, int]]:
    """Run the proxy as a separate process; yield its process id and port."""
    port = free_port()
    process = _FORKS.Process(target=_serve, args=(url, upstream.url, port))
    process.start()
    assert process.pid
    try:
        await eventually_found(lambda: _is_listening(port), seconds=60, pause_seconds=0.02)
        yield process.pid, port
    finally:
        process.kill()
        await asyncio.to_thread(process.join)
        process.close()


def _serve(url: str, upstream: str, port: int) -> None:
    os.environ |= {"DATABASE_URL": url, "LITELLM_BASE_URL": upstream}
    uvicorn.run(ours.app, factory=True, port=port, log_level="critical")


async def _is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _call_until_killed(port: int, number: int) -> None:
    url = f"http://127.0.0.1:{port}/api/v1/llm-proxy/agent-{number}/chat/completions"
    body = {"model": "demo-chat", "max_tokens": 50, "messages": [], "stream": number % 2 == 0}
    headers = {"Authorization": f"Bearer {ours.KEY}"}
    with suppress(httpx.HTTPError):
        async with httpx.AsyncClient(headers=headers, timeout=20) as client:
            while True:
                await client.post(url, json=body)


async def _rows(ctx: AppContext) -> dict[str, ModelCall]:
    async with reading(ctx.engine) as session:
        return {row.id: row for row in await session.exec(select(ModelCall))}


async def test_a_server_killed_at_fifty_random_moments_loses_and_doubles_nothing(
    database_url: str,
):
    url = database_url
    await ours.fill(url, accounts=0, calls=0)
    dice = random.Random(7)
    plain, streamed = completion(), whole_stream()
    # Every third takes its time, so that each kill finds open calls.
    slow, number = replace(plain, hang_seconds=0.2), count()
    upstream = FakeUpstream(
        choose=lambda r: (
            slow if next(number) % 3 == 0 else streamed if b'"stream":true' in r.body else plain
        )
    )
    settings = ours.settings_of(url, "http://unused.invalid")

    async with upstream.serving(), ours.context(settings) as ctx:
        living = intent(ctx, Payer(*_ids(31)), owner="a living process")
        await opened(ctx, living)
        for _ in range(KILLS):
            settled = {k: row for k, row in (await _rows(ctx)).items() if row.state == "settled"}
            async with _server(url, upstream) as (pid, port):
                calls = [asyncio.create_task(_call_until_killed(port, n)) for n in range(AT_ONCE)]
                await asyncio.sleep(dice.uniform(0.1, 1.2))
                os.kill(pid, signal.SIGKILL)
                await asyncio.gather(*calls)
            rows = await _rows(ctx)
            assert all(rows[k].cost_nano_usd == row.cost_nano_usd for k, row in settled.items())
            assert all(rows[k].state == "settled" for k in settled)
        await asyncio.sleep(LEASE_SECONDS + 1)
        await _keep_alive(ctx, living.call_id)
        await reconcile(ctx)
        rows = await _rows(ctx)
        budgets = await _budgets(ctx)

    assert rows.pop(living.call_id).state == "dispatched"
    states = [row.state for row in rows.values()]
    assert set(states) <= {"settled", "cancelled", "unknown"}
    assert states.count("unknown") > 0
    assert states.count("settled") > KILLS
    for account_id, budget in budgets.items():
        spent = sum(row.cost_nano_usd for row in rows.values() if row.account_id == account_id)
        is_living = account_id == living.account_id
        assert budget.spent_nano_usd == spent
        assert budget.reserved_nano_usd == (living.worst_case_nano_usd if is_living else 0)
        assert budget.open_calls == (1 if is_living else 0)


def _ids(number: int) -> tuple:
    return f"account-{number}", f"agent-{number}"


async def _keep_alive(ctx: AppContext, call_id: str) -> None:
    """Renew the lease, as the living process would."""
    async with transaction(ctx.engine) as session:
        row = await session.get_one(ModelCall, call_id)
        row.lease_until_ms = now_ms() + LEASE_SECONDS * 2000


async def _budgets(ctx: AppContext) -> dict[str, Budget]:
    async with reading(ctx.engine) as session:
        return {row.account_id: row for row in await session.exec(select(Budget))}
