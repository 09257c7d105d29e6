"""`GET /metrics`: closed without its token, and what an operator sees with it."""

import asyncio
import json
import re
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from chat_platform.context import AppContext
from chat_platform.operations.peers import parts_of
from chat_platform.process.metrics import look_at_loop
from chat_platform.settings import Settings
from tests.fakes import FakeGateway
from tests.people import Person

DASHBOARD = Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "dashboard.json"
TOKEN = "token-of-prometheus"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def test_metrics_are_closed_while_no_token_is_set(client: httpx.AsyncClient):
    answer = await client.get("/metrics", headers={"Authorization": "Bearer"})

    assert answer.status_code == 404


class TestWithAToken:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"metrics_token": SecretStr(TOKEN)})

    async def test_the_token_opens_them(self, client: httpx.AsyncClient):
        found = await scrape(client)

        assert value(found, "chat_platform_open_calls") == 0
        assert value(found, "chat_platform_unsettled_calls") == 0
        assert value(found, "chat_platform_running_turns") == 0
        assert value(found, "chat_platform_waiting_writes") == 0
        assert value(found, "chat_platform_tasks") >= 1

    async def test_another_token_does_not(self, client: httpx.AsyncClient):
        answer = await client.get("/metrics", headers={"Authorization": "Bearer other"})

        assert answer.status_code == 404

    async def test_a_turn_counts_with_its_outcome_and_its_first_text(
        self, client: httpx.AsyncClient, alice: Person
    ):
        before = await scrape(client)

        answer = await client.post(
            "/api/v1/chat/message", json={"content": "Hello!"}, headers=alice.headers
        )

        after = await scrape(client)
        assert answer.status_code == 200
        grown = "chat_platform_turns_total", {"outcome": "completed", "error": ""}
        assert value(after, grown[0], **grown[1]) == value(before, grown[0], **grown[1]) + 1
        name = "chat_platform_first_text_seconds_count"
        assert value(after, name) == value(before, name) + 1

    async def test_a_failing_part_is_down(self, client: httpx.AsyncClient, gateway: FakeGateway):
        gateway.is_down = True

        found = await scrape(client)

        assert value(found, "chat_platform_up", part="billing_gateway") == 0
        assert value(found, "chat_platform_up", part="database") == 1
        assert value(found, "chat_platform_up", part="agent_server") == 1

    async def test_responses_count_by_template_and_never_by_path(
        self, client: httpx.AsyncClient, alice: Person
    ):
        for path in ("/chat/turns/secret-1", "/chat/turns/secret-2", "/nothing/secret-3"):
            await client.get(f"/api/v1{path}", headers=alice.headers)
        await client.request("BREW", "/api/v1/chat/secret-4", headers=alice.headers)

        found = await scrape(client)

        name = "chat_platform_api_responses_total"
        told = {"method": "GET", "route": "/api/v1/chat/turns/{turn_id}", "status": "404"}
        assert value(found, name, **told) >= 2
        labels = {text for _, labels in found for _, text in labels}
        assert not [text for text in labels if "secret" in text or "@" in text]
        assert "BREW" not in labels

    async def test_a_blocked_event_loop_shows(self, client: httpx.AsyncClient):
        await look_at_loop()

        found = await scrape(client)

        assert value(found, "chat_platform_event_loop_late_seconds_count") >= 1

    async def test_the_dashboard_shows_every_metric_and_no_other(self, client: httpx.AsyncClient):
        families = {each.name for each in text_string_to_metric_families(await read(client))}

        asked = set(re.findall(r"chat_platform_\w+", DASHBOARD.read_text()))

        plain = {name.removesuffix("_total").removesuffix("_bucket") for name in asked}
        assert plain == families
        panels = json.loads(DASHBOARD.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)


class HangingGateway(FakeGateway):
    async def check(self) -> str:
        await asyncio.Event().wait()
        return ""


class TestWithAPartThatHangs:
    @pytest.fixture
    def gateway(self) -> FakeGateway:
        return HangingGateway()

    async def test_it_is_down_and_keeps_no_metric_from_anybody(self, ctx: AppContext):
        parts = await parts_of(ctx, seconds=2)

        assert parts == {"database": "ok", "agent_server": "ok", "billing_gateway": "failing"}


async def read(client: httpx.AsyncClient) -> str:
    answer = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    return answer.text


async def scrape(client: httpx.AsyncClient) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(await read(client))
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)
