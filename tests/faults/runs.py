"""Runs one seed from an empty database to the laws."""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass

import structlog
from pydantic import SecretStr

from chat_platform.settings import Settings
from tests.contexts import GLOBAL_KEY
from tests.fakes import FakeMemory
from tests.faults.agents import Agents
from tests.faults.clock import Clock
from tests.faults.databases import Databases
from tests.faults.gateway import Gateway
from tests.faults.laws import LAWS, outcome_of
from tests.faults.link import Link
from tests.faults.loop import new_loop
from tests.faults.machine import play
from tests.faults.processes import World, gate_tasks, is_frozen
from tests.faults.rest import Restless
from tests.faults.schedule import Schedule, draw
from tests.faults.stage import Stage


@dataclass(frozen=True)
class Report:
    seed: int
    broken: list[str]
    """`law: what breaks it`."""
    troubles: Counter[str]
    refused: Counter[str]
    turns: int
    calls: int


def run_seed(seed: int, databases: Databases) -> Report:
    clock = Clock()
    databases.fresh(clock)
    loop = new_loop(clock, is_frozen)
    with clock.in_charge(), asyncio.Runner(loop_factory=lambda: loop) as runner:
        gate_tasks(loop)
        return runner.run(_run(draw(seed), databases, clock))


async def _run(schedule: Schedule, databases: Databases, clock: Clock) -> Report:
    gateway = Gateway(scripts=schedule.scripts, has_logs=schedule.has_logs)
    agents = Agents(scripts=schedule.scripts)

    async def new_link() -> Link:
        link = databases.new_link()
        await link.open()
        return link

    async with gateway.serving():
        world = World(_settings(schedule, gateway), agents, FakeMemory(), gateway)
        stage = Stage(schedule, world, clock, new_link)
        try:
            onlooker = await play(stage)
            outcome = await onlooker.spawn(
                outcome_of(onlooker.ctx, stage.facts, agents, gateway, is_calm=schedule.is_calm)
            )
            broken = [f"{law.__name__}: {text}" for law in LAWS for text in law(outcome)]
        except Restless as restless:
            broken = [f"nothing_is_held: it did not come to rest: {restless}"]
        finally:
            await stage.close()
    links = Counter(met for process in stage.processes for met in process.link.met)
    troubles = links + stage.facts.met + gateway.met + agents.met
    return Report(
        schedule.seed,
        broken,
        troubles,
        stage.facts.refused,
        turns=len(stage.facts.turns),
        calls=len(gateway.sent),
    )


def _settings(schedule: Schedule, gateway: Gateway) -> Settings:
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        environment="test",
        registration="open",
        secret_key=SecretStr("s" * 40),
        letta_global_api_key=SecretStr(GLOBAL_KEY),
        litellm_master_key=SecretStr("sk-master-of-the-tests"),
        litellm_base_url=gateway.url,
        litellm_has_database=schedule.has_logs,
        chat_model="demo-chat",
        embedding_model="demo-embedding",
        user_default_budget=schedule.budget_usd,
        redis_url=SecretStr("redis://news-go-another-way" if schedule.keeps_runs else ""),
        proxy_first_byte_timeout_seconds=20,
        proxy_silence_timeout_seconds=10,
    )


def be_quiet() -> None:
    """Intended failures need not be logged."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
