"""The billing gateway on LiteLLM, with its database (virtual keys) and without (derived keys).

Control plane only: a few calls a minute.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx

from chat_platform.billing_keys import derive_key, derive_subkey
from chat_platform.clock import to_datetime
from chat_platform.errors import Unavailable, UpstreamFailed
from chat_platform.ids import AccountId, CallId
from chat_platform.money import NANO_PER_USD, to_nano_usd
from chat_platform.ports import BillingGateway, ModelPrice, SpendRecord
from chat_platform.settings import Settings

ADMIN_TIMEOUT_SECONDS = 30
FUSE_FACTOR = 1000
MIN_FUSE_USD = 10_000

_GONE = 404
_EXISTS = 409


def open_gateway(settings: Settings, http: httpx.AsyncClient) -> BillingGateway:
    """Return the adapter for the LiteLLM that the settings describe."""
    admin = LiteLlmAdmin(http)
    subkey = derive_subkey(settings.secret_key.get_secret_value())
    if not settings.litellm_has_database:
        return DerivedKeyGateway(admin, subkey)
    budget_usd = settings.default_budget_nano_usd // NANO_PER_USD
    return VirtualKeyGateway(admin, subkey, fuse_usd=max(MIN_FUSE_USD, budget_usd * FUSE_FACTOR))


def admin_client(settings: Settings) -> httpx.AsyncClient:
    """Return the HTTP client that carries the master key; whoever opens it closes it."""
    return httpx.AsyncClient(
        base_url=settings.litellm_base_url or "http://litellm.invalid",
        headers={"Authorization": f"Bearer {settings.litellm_master_key.get_secret_value()}"},
        timeout=ADMIN_TIMEOUT_SECONDS,
        trust_env=False,
    )


class LiteLlmAdmin:
    """LiteLLM's admin API: what both kinds of it share, and its failures in our words."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def get(self, path: str, **params: str) -> Any:
        """Return the JSON answer, or None where the thing is unknown."""
        return await self._ask("GET", path, params=params, is_fine={_GONE})

    async def post(self, path: str, body: Mapping[str, object], *, is_fine: set[int]) -> Any:
        """Return the JSON answer, or None for a status in `is_fine`."""
        return await self._ask("POST", path, json=body, is_fine=is_fine)

    async def prices(self) -> dict[str, ModelPrice]:
        answer = await self.get("/model/info") or {}
        found = ((entry["model_name"], _price(entry)) for entry in answer.get("data", []))
        return {name: price for name, price in found if price}

    async def check(self) -> None:
        """Raise Unavailable when LiteLLM cannot serve. `/health` would call the models."""
        await self._ask("GET", "/health/readiness", is_fine=set())

    async def _ask(self, method: str, path: str, *, is_fine: set[int], **kwargs: Any) -> Any:
        try:
            answer = await self._http.request(method, path, **kwargs)
        except httpx.HTTPError as exc:
            raise Unavailable("Billing does not answer.", code="billing_unavailable") from exc
        if answer.status_code in is_fine:
            return None
        if answer.status_code == 503:
            raise Unavailable("Billing is not ready.", code="billing_unavailable")
        if not answer.is_success:
            # Its bodies print parts of keys: only the status goes on.
            raise UpstreamFailed(
                f"Billing answered {answer.status_code} to {path}.", code="billing_failed"
            )
        return answer.json()


class VirtualKeyGateway:
    """LiteLLM with its database: a user and a virtual key for every account.

    Keys are chosen by us (derived), so that making one twice, even at once, makes one key:
    LiteLLM itself does not serialise.
    """

    def __init__(self, admin: LiteLlmAdmin, subkey: bytes, *, fuse_usd: int) -> None:
        self._admin = admin
        self._subkey = subkey
        self._fuse_usd = fuse_usd

    async def open_account(self, account_id: AccountId, *, key_version: int) -> str:
        user = {
            "user_id": account_id,
            "max_budget": self._fuse_usd,
            "auto_create_key": False,
        }
        await self._admin.post("/user/new", user, is_fine={_EXISTS})
        key = derive_key(self._subkey, account_id, key_version)
        await self._admin.post(
            "/key/generate",
            {"key": key, "user_id": account_id, "metadata": {"key_version": key_version}},
            is_fine=set(),
        )
        return key

    async def replace_key(self, account_id: AccountId, *, key_version: int) -> str:
        old = await self._key_hashes(account_id)
        key = await self.open_account(account_id, key_version=key_version)
        void = [token for token in old if token != _token(key)]
        if void:
            await self._admin.post("/key/delete", {"keys": void}, is_fine={_GONE})
        return key

    async def set_blocked(self, account_id: AccountId, *, is_blocked: bool) -> None:
        path = "/key/block" if is_blocked else "/key/unblock"
        for token in await self._key_hashes(account_id):
            await self._admin.post(path, {"key": token}, is_fine={_GONE})

    async def close_account(self, account_id: AccountId) -> None:
        await self._admin.post("/user/delete", {"user_ids": [account_id]}, is_fine={_GONE})

    async def prices(self) -> dict[str, ModelPrice]:
        return await self._admin.prices()

    async def spend(
        self, account_id: AccountId, *, since_ms: int, until_ms: int
    ) -> Sequence[SpendRecord] | None:
        logs = await self._admin.get(
            "/spend/logs",
            user_id=account_id,
            start_date=_day(since_ms),
            # `end_date` is exclusive.
            end_date=_day(until_ms, add_days=1),
            summarize="false",
        )
        records = (_spend_record(row) for row in logs or [])
        return [record for record in records if record]

    async def check(self) -> None:
        await self._admin.check()

    async def _key_hashes(self, account_id: AccountId) -> list[str]:
        answer = await self._admin.get("/user/info", user_id=account_id) or {}
        return [key["token"] for key in answer.get("keys", [])]


class DerivedKeyGateway:
    """LiteLLM without a database: its key check recomputes derived keys; nothing is stored.

    Blocked, closed and replaced accounts are refused by our proxy before anything is sent.
    """

    def __init__(self, admin: LiteLlmAdmin, subkey: bytes) -> None:
        self._admin = admin
        self._subkey = subkey

    async def open_account(self, account_id: AccountId, *, key_version: int) -> str:
        return derive_key(self._subkey, account_id, key_version)

    async def replace_key(self, account_id: AccountId, *, key_version: int) -> str:
        return derive_key(self._subkey, account_id, key_version)

    async def set_blocked(self, account_id: AccountId, *, is_blocked: bool) -> None:
        return None

    async def close_account(self, account_id: AccountId) -> None:
        return None

    async def prices(self) -> dict[str, ModelPrice]:
        return await self._admin.prices()

    async def spend(
        self, account_id: AccountId, *, since_ms: int, until_ms: int
    ) -> Sequence[SpendRecord] | None:
        return None

    async def check(self) -> None:
        await self._admin.check()


def _price(entry: Mapping[str, Any]) -> ModelPrice | None:
    info = entry.get("model_info") or {}
    per_input, per_output = info.get("input_cost_per_token"), info.get("output_cost_per_token")
    if not per_input and not per_output:
        # LiteLLM shows unknown models at no price, and would charge nothing.
        return None
    return ModelPrice(
        _per_million(per_input), _per_million(per_output), info.get("max_output_tokens")
    )


def _per_million(usd_per_token: float | str | None) -> int:
    return to_nano_usd(Decimal(str(usd_per_token or 0)) * 1_000_000)


def _spend_record(row: Mapping[str, Any]) -> SpendRecord | None:
    """Return what a spend log says of one of our calls, None for anybody else's."""
    metadata = row.get("metadata") or {}
    if isinstance(metadata, str):
        metadata = json.loads(metadata)
    ours = metadata.get("spend_logs_metadata") or {}
    if "call_id" not in ours:
        return None
    return SpendRecord(
        call_id=CallId(ours["call_id"]),
        cost_nano_usd=to_nano_usd(row.get("spend") or 0.0),
        prompt_tokens=row.get("prompt_tokens") or 0,
        completion_tokens=row.get("completion_tokens") or 0,
        is_success=metadata.get("status") != "failure",
        response_id=row.get("request_id"),
    )


def _token(key: str) -> str:
    """Return what LiteLLM calls a key's token: its SHA-256."""
    return hashlib.sha256(key.encode()).hexdigest()


def _day(ms: int, *, add_days: int = 0) -> str:
    return (to_datetime(ms) + timedelta(days=add_days)).date().isoformat()
