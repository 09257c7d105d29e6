"""The data behind the pages: one person's rows in the platform's database, and in Letta's."""

from decimal import Decimal
from typing import Any

import httpx
import psutil
from playwright.sync_api import Locator

from tests.e2e.platform import Platform


class Behind:
    """Reads what is stored about one person, bypassing our pages and routes."""

    def __init__(self, platform: Platform, email: str) -> None:
        self.platform = platform
        [account] = platform.rows("select id from accounts where email = ?", email)
        self.account_id: str = account["id"]

    @property
    def agent_id(self) -> str:
        query = "select agent_id from agents where account_id = ?"
        [agent] = self.platform.rows(query, self.account_id)
        return agent["agent_id"]

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Every row of the ledger, oldest first."""
        query = "select * from model_calls where account_id = ? order by started_at_ms, id"
        return self.platform.rows(query, self.account_id)

    @property
    def booked(self) -> int:
        """Everything that was charged, in nano-dollars."""
        return sum(call["cost_nano_usd"] for call in self.calls)

    @property
    def tokens(self) -> int:
        return sum(call["prompt_tokens"] + call["completion_tokens"] for call in self.calls)

    @property
    def blocks(self) -> dict[str, str]:
        """The texts of Letta's memory blocks, by label."""
        found = self.letta("GET", f"/v1/agents/{self.agent_id}/core-memory/blocks").json()
        return {block["label"]: block["value"] for block in found}

    @property
    def passages(self) -> list[str]:
        """The texts in Letta's archive."""
        path = f"/v1/agents/{self.agent_id}/archival-memory"
        return [passage["text"] for passage in self.letta("GET", path).json()]

    def letta(self, method: str, path: str) -> httpx.Response:
        password = psutil.Process(self.platform.pid_of("letta")).environ()["LETTA_SERVER_PASSWORD"]
        return httpx.request(
            method,
            self.platform.url_of("letta") + path,
            headers={"Authorization": f"Bearer {password}"},
        )


def nano_usd(shown: str) -> int:
    """Return the nano-dollars of an amount as the English pages show it."""
    return int(Decimal(shown.replace("$", "").replace(",", "")).scaleb(9))


def amounts(shown: Locator) -> list[int]:
    return [nano_usd(text) for text in shown.all_inner_texts()]
