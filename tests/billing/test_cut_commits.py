"""A COMMIT reaches Postgres but its answer is lost: each row exists once, nothing is held."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from sqlalchemy.engine import make_url
from sqlmodel import select

from chat_platform.billing import budgets, ledger
from chat_platform.billing.ledger_rows import Opened
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.database.group_commit.statements import Statement
from chat_platform.database.writer import GroupWriter
from chat_platform.models import ModelCall
from tests.ledger_entries import CENT, Payer, intent, new_payer, settlement

COMMIT = Statement("commit").prepared_name


class CuttingProxy:
    """A relay to Postgres that drops the answers to a given number of COMMITs."""

    def __init__(self, socket_path: str | None, host: str, port: int) -> None:
        self._target = (socket_path, host, port)
        self.cuts = 0
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        yield
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path, host, port = self._target
        opening = (
            asyncio.open_unix_connection(path) if path else asyncio.open_connection(host, port)
        )
        behind, before = await opening
        answering = asyncio.create_task(self._answer(behind, writer))
        try:
            while data := await reader.read(65_536):
                is_cut = self.cuts > 0 and COMMIT in data
                if is_cut:
                    self.cuts -= 1
                    answering.cancel()
                before.write(data)
                if is_cut:
                    # Postgres has committed when it answers; the answer is dropped.
                    await behind.read(65_536)
                    return
        except ConnectionError:
            pass
        finally:
            answering.cancel()
            writer.transport.abort()
            before.close()

    async def _answer(self, behind: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await behind.read(65_536):
                writer.write(data)
        writer.close()


@pytest.fixture
def database_url(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[CuttingProxy]:
    url = make_url(database_url)
    host = str(url.query.get("host") or url.host or "127.0.0.1")
    port = int(str(url.query.get("port") or url.port or 5432))
    path = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else None
    proxy = CuttingProxy(path, host, port)
    async with proxy.serving():
        yield proxy


@pytest.fixture
async def cut_ctx(ctx: AppContext, proxy: CuttingProxy) -> AsyncIterator[AppContext]:
    """The context, its ledger behind the proxy."""
    url = make_url(ctx.settings.database)
    through = url.set(host="127.0.0.1", port=proxy.port, query={})
    writer = GroupWriter(through.render_as_string(hide_password=False))
    yield replace(ctx, writer=writer)
    await writer.close()


@pytest.fixture
async def payer(ctx: AppContext) -> Payer:
    return await new_payer(ctx, "alice")


async def test_an_intent_whose_commit_was_not_answered_is_its_own(
    cut_ctx: AppContext, proxy: CuttingProxy, payer: Payer
):
    await ledger.open_call(cut_ctx, intent(cut_ctx, payer))
    entries = [intent(cut_ctx, payer) for _ in range(3)]
    proxy.cuts = 1

    outcomes = await asyncio.gather(*(ledger.open_call(cut_ctx, entry) for entry in entries))

    budget = await budgets.budget_of(cut_ctx, payer.account_id)
    assert [type(outcome) for outcome in outcomes] == [Opened] * 3
    assert budget.reserved_nano_usd == 4 * CENT
    assert proxy.cuts == 0


async def test_a_settlement_whose_commit_was_not_answered_counts_once(
    cut_ctx: AppContext, proxy: CuttingProxy, payer: Payer
):
    entry = intent(cut_ctx, payer)
    await ledger.open_call(cut_ctx, entry)
    late = intent(cut_ctx, payer)
    proxy.cuts = 1

    ledger.settle_call(cut_ctx, settlement(entry, 1000))
    await ledger.open_call(cut_ctx, late)
    await ledger.settle_call(cut_ctx, settlement(late, 500))

    async with reading(cut_ctx.engine) as session:
        rows = list(await session.exec(select(ModelCall)))
    budget = await budgets.budget_of(cut_ctx, payer.account_id)
    assert {row.state for row in rows} == {"settled"}
    assert (budget.spent_nano_usd, budget.reserved_nano_usd) == (1500, 0)
