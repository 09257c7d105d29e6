"""Writes the story into the database, as the rows that weeks of use would leave."""

from dataclasses import dataclass
from datetime import timedelta
from random import Random

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.accounts import api_tokens, audit, invitations, sign_in, sign_in_rows
from chat_platform.accounts.sign_in_rows import Visit
from chat_platform.agents import revisions
from chat_platform.agents.agents import ensure_agent
from chat_platform.agents.revisions import revision_of
from chat_platform.billing import budgets
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.models import Account, BlockRevision, Budget, Message, ModelCall
from chat_platform.ports import Passage
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AgentId, TurnId
from tests.fakes import FakeMemory
from tests.pages.story.texts import BY_LANGUAGE, Texts
from tests.pages.visitor import PASSWORD
from tests.turn_rows import add_turn

DAY_MS = int(timedelta(days=1).total_seconds() * 1000)
HOUR_MS = DAY_MS // 24
CENT = 10_000_000
EMPTY, UNLUCKY, ROOT = "new@example.com", "unlucky@example.com", "root@example.com"
TALKING = "talking@example.com"
"""A person whose data tests may extend."""
BUSY_DAYS = 26
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@dataclass(frozen=True)
class Teller:
    """Writes everybody's story; `memory` is that of the fake agents."""

    ctx: AppContext
    memory: FakeMemory

    async def tell(self) -> AgentId:
        """Return the agent whose memory is to fail."""
        for texts in BY_LANGUAGE.values():
            await self._weeks_of_use(texts)
        await self._register(EMPTY, "Grace")
        await self._administrator(await self._register(TALKING, "Alan"))
        return await self._out_of_luck()

    async def _register(self, email: str, name: str) -> Account:
        signed_in = await sign_in.register(
            self.ctx, email=email, password=PASSWORD, name=name, visit=Visit("api", "curl/8.5", "")
        )
        assert signed_in
        return signed_in.account

    async def _weeks_of_use(self, texts: Texts) -> None:
        account = await self._register(texts.email, texts.name)
        agent_id = await ensure_agent(self.ctx, account)
        turns = [
            await self._exchange(account, agent_id, talk, days_ago=2 * (len(texts.talk) - n) - 2)
            for n, talk in enumerate(texts.talk)
        ]
        await self._memory_of(account, agent_id, texts, turns)
        await self._earlier_calls(account, agent_id)
        await sign_in_rows.open_sign_in(self.ctx, account, Visit("browser", FIREFOX, ""))
        for name in texts.tokens:
            await api_tokens.make_token(
                self.ctx,
                account.id,
                api_tokens.terms_of(name, ["chat", "usage"]),
            )

    async def _exchange(
        self,
        account: Account,
        agent_id: AgentId,
        talk: tuple[str, str],
        *,
        days_ago: int,
        status: str = "finished",
        error_code: str | None = None,
    ) -> TurnId:
        at = now_ms() - days_ago * DAY_MS - HOUR_MS
        turn = await add_turn(
            self.ctx,
            account.id,
            status=status,
            error_code=error_code,
            created_at_ms=at,
            ended_at_ms=at + 4000,
        )
        assert turn.conversation_id
        async with transaction(self.ctx.engine) as session:
            for n, (role, content) in enumerate(zip(("user", "assistant"), talk, strict=True)):
                session.add(
                    Message(
                        account_id=account.id,
                        conversation_id=turn.conversation_id,
                        turn_id=turn.id,
                        role=role,
                        content=content,
                        created_at_ms=at + n * 4000,
                    )
                )
                await session.flush()
            session.add_all(self._calls(account, agent_id, turn.id, at, words=len(talk[1])))
        return turn.id

    def _calls(
        self, account: Account, agent_id: AgentId, turn_id: TurnId | None, at: int, *, words: int
    ) -> list[ModelCall]:
        """A search, a step with a tool and the reply; outside turns only a summary."""
        kinds = [
            ("embedding", "gemini-embedding-001", 41, 0, 6_150),
            ("chat", "gemini-2.5-flash", 1834, 64, 710_200),
            ("chat", "gemini-2.5-flash", 2011, words, 603_300 + words * 2_500),
        ]
        if turn_id is None:
            kinds = [("background", "gemini-2.5-flash-lite", 5200, 310, 644_000)]
        return [
            ModelCall(
                account_id=account.id,
                agent_id=agent_id,
                turn_id=turn_id,
                kind=kind,
                model=model,
                state="settled",
                prompt_tokens=read,
                completion_tokens=written,
                cost_nano_usd=cost,
                cost_source="stream",
                owner=self.ctx.process_id,
                lease_until_ms=0,
                started_at_ms=at + 900 * n,
                total_ms=300 + 800 * n,
            )
            for n, (kind, model, read, written, cost) in enumerate(kinds)
        ]

    async def _earlier_calls(self, account: Account, agent_id: AgentId) -> None:
        """Weeks of background calls, and the budget that paid for these and the conversation."""
        chance = Random(7)
        async with transaction(self.ctx.engine) as session:
            for day in range(BUSY_DAYS):
                at = now_ms() - day * DAY_MS - 2 * HOUR_MS
                rows = self._calls(account, agent_id, None, at, words=0)
                for row in rows:
                    times = chance.randint(1, 24)
                    row.cost_nano_usd, row.prompt_tokens = times * 6_440_000, times * 52_000
                session.add_all(rows)
        await self._spend(account, spent_nano_usd=await self._cost_of(account))

    async def _cost_of(self, account: Account) -> int:
        query = select(func.sum(ModelCall.cost_nano_usd)).where(
            col(ModelCall.account_id) == account.id
        )
        async with reading(self.ctx.engine) as session:
            return (await session.exec(query)).one()

    async def _spend(self, account: Account, *, spent_nano_usd: int) -> None:
        await budgets.set_limit(self.ctx, account.id, limit_nano_usd=500 * CENT)
        async with transaction(self.ctx.engine) as session:
            await session.exec(
                update(Budget)
                .where(col(Budget.account_id) == account.id)
                .values(
                    spent_nano_usd=spent_nano_usd,
                    period_start_ms=now_ms() - 27 * DAY_MS,
                    period_end_ms=now_ms() + 3 * DAY_MS,
                )
            )

    async def _memory_of(
        self, account: Account, agent_id: AgentId, texts: Texts, turns: list[TurnId]
    ) -> None:
        self.memory.values[agent_id, "persona"] = texts.persona
        self.memory.values[agent_id, "human"] = texts.human[-1]
        self.memory.archive[agent_id] = [
            Passage(f"passage-{agent_id}-{n}", text, now_ms() - (9 - 3 * n) * DAY_MS)
            for n, text in enumerate(texts.passages)
        ]
        async with transaction(self.ctx.engine) as session:
            await revisions.forget(session, account.id)
            session.add(self._revision(account, "persona", texts.persona, 0, None))
            for n, value in enumerate(texts.human):
                turn_id = turns[n - 1] if n else None
                session.add(self._revision(account, "human", value, n, turn_id))
                await session.flush()

    def _revision(
        self, account: Account, label: str, value: str, number: int, turn_id: TurnId | None
    ) -> BlockRevision:
        return BlockRevision(
            account_id=account.id,
            label=label,
            revision=revision_of(value),
            value=value,
            cause="agent",
            turn_id=turn_id,
            step=2 if turn_id else None,
            changed_at_ms=now_ms() - (11 - 2 * number) * DAY_MS,
        )

    async def _administrator(self, other: Account) -> None:
        account = await self._register(ROOT, "Root")
        async with transaction(self.ctx.engine) as session:
            await session.exec(
                update(Account).where(col(Account.id) == account.id).values(role="admin")
            )
            await self._invite(session, account)
            for action in ("account.budget_set", "account.disabled", "account.enabled"):
                audit.record(session, actor_id=account.id, action=action, subject_id=other.id)

    async def _invite(self, session: AsyncSession, account: Account) -> None:
        """One invitation of every kind."""
        settings, budget = self.ctx.settings, 750 * CENT
        for email in (None, "friend@example.com", None):
            made = await invitations.invite(
                session, settings, actor_id=account.id, email=email, budget_nano_usd=budget
            )
            budget = None
        made.row.revoked_at_ms = now_ms()

    async def _out_of_luck(self) -> AgentId:
        """A person with a spent budget, a failed last turn, and an agent that does not answer."""
        account = await self._register(UNLUCKY, "Bob Unlucky")
        agent_id = await ensure_agent(self.ctx, account)
        await self._exchange(
            account,
            agent_id,
            ("What is the weather like in Turin?", "Turin has"),
            days_ago=0,
            status="failed",
            error_code="model_failed",
        )
        await self._use_up(account, agent_id)
        return agent_id

    async def _use_up(self, account: Account, agent_id: AgentId) -> None:
        left = 500 * CENT - await self._cost_of(account)
        [row] = self._calls(account, agent_id, None, now_ms() - DAY_MS, words=0)
        row.cost_nano_usd = left
        async with transaction(self.ctx.engine) as session:
            session.add(row)
        await self._spend(account, spent_nano_usd=500 * CENT)
