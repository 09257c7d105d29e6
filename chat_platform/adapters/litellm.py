"""The billing gateway on LiteLLM, with its database (virtual keys) and without (derived keys).

Control plane only: a few calls per minute.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

import httpx
import structlog

from chat_platform.billing.keys import derive_key, derive_subkey
from chat_platform.errors import PlatformError, UpstreamFailed, billing_unavailable
from chat_platform.ports import BillingGateway, ModelPrice, SpendRecord
from chat_platform.settings import Settings
from chat_platform.values.clock import to_datetime
from chat_platform.values.ids import AccountId, CallId
from chat_platform.values.money import NANO_PER_USD, to_nano_usd

ADMIN_TIMEOUT_SECONDS = 30
FUSE_FACTOR = 1000
MIN_FUSE_USD = 10_000

_MAX_COST_NANO_USD = 10_000 * NANO_PER_USD
_MAX_TOKENS = 100_000_000
"""More than any call costs or uses: larger values are invalid."""
_MAX_VERSION = 40
_VERSION_SECONDS = 600.0
"""How long a version is remembered; health checks come every few seconds."""
_NOT_TOLD = {401, 403, 404}

_GONE = 404
_EXISTS = 409

T = TypeVar("T")

log = structlog.get_logger()


def open_gateway(settings: Settings, http: httpx.AsyncClient) -> BillingGateway:
    """Return the adapter for the LiteLLM that the settings describe."""
    admin = LiteLlmAdmin(http)
    subkey = derive_subkey(settings.secret_key.get_secret_value())
    if not settings.litellm_has_database:
        return DerivedKeyGateway(admin, subkey)
    budget_usd = settings.default_budget_nano_usd // NANO_PER_USD
    return VirtualKeyGateway(admin, subkey, fuse_usd=max(MIN_FUSE_USD, budget_usd * FUSE_FACTOR))


def admin_client(settings: Settings) -> httpx.AsyncClient:
    """Return the HTTP client with the master key; the caller must close it."""
    return httpx.AsyncClient(
        base_url=settings.litellm_base_url or "http://litellm.invalid",
        headers={"Authorization": f"Bearer {settings.litellm_master_key.get_secret_value()}"},
        timeout=ADMIN_TIMEOUT_SECONDS,
        trust_env=False,
    )


class LiteLlmAdmin:
    """LiteLLM's admin API: what both variants share, with failures as our errors."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._version: str | None = None
        self._ask_version_at = float("-inf")

    async def get(self, path: str, **params: str) -> Any:
        """Return the JSON response, or None if the object is unknown."""
        return await self._ask("GET", path, params=params, is_fine={_GONE})

    async def post(self, path: str, body: Mapping[str, object], *, is_fine: set[int]) -> Any:
        """Return the JSON response, or None for a status in `is_fine`."""
        return await self._ask("POST", path, json=body, is_fine=is_fine)

    async def prices(self) -> dict[str, ModelPrice]:
        answer = await self.get("/model/info")
        entries = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(entries, list):
            raise _billing_failed("/model/info", "no prices")
        found = (_each_alone(_named_price, entry) for entry in entries)
        return dict(named for named in found if named)

    async def check(self) -> str | None:
        """Raise Unavailable if LiteLLM is not ready. `/health` would call the models."""
        await self._ask("GET", "/health/readiness", is_fine=set())
        if time.monotonic() >= self._ask_version_at:
            self._ask_version_at = time.monotonic() + _VERSION_SECONDS
            self._version = await self._find_version()
        return self._version

    async def _find_version(self) -> str | None:
        """Return LiteLLM's version; None where it does not tell ours."""
        with suppress(PlatformError):
            answer = await self._ask("GET", "/health/readiness/details", is_fine=_NOT_TOLD)
            version = answer.get("litellm_version") if isinstance(answer, dict) else None
            return str(version)[:_MAX_VERSION] if version else None
        return None

    async def _ask(self, method: str, path: str, *, is_fine: set[int], **kwargs: Any) -> Any:
        try:
            answer = await self._http.request(method, path, **kwargs)
        except httpx.HTTPError as exc:
            raise billing_unavailable() from exc
        if answer.status_code in is_fine:
            return None
        if answer.status_code == 503:
            raise billing_unavailable()
        if not answer.is_success:
            # Its bodies contain parts of keys: only the status is passed on.
            raise _billing_failed(path, str(answer.status_code))
        try:
            return answer.json()
        except ValueError as exc:
            # A proxy server or a sign-in page on the way, for example.
            raise _billing_failed(path, "no JSON") from exc


def _billing_failed(path: str, answered: str) -> UpstreamFailed:
    log.warning("billing.failed", path=path, answered=answered)
    return UpstreamFailed(
        "Billing returned an error. Try again in a moment.", code="billing_failed"
    )


class VirtualKeyGateway:
    """LiteLLM with its database: a user and a virtual key for every account.

    We choose the keys (derived), so that creating one twice, even concurrently, gives one key:
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
        rows = logs if isinstance(logs, list) else []
        records = (_each_alone(_spend_record, row) for row in rows)
        return [record for record in records if record]

    async def check(self) -> str | None:
        return await self._admin.check()

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

    async def check(self) -> str | None:
        return await self._admin.check()


def _each_alone(read: Callable[[Any], T | None], entry: object) -> T | None:
    """Return the parsed entry, None if it is invalid."""
    try:
        return read(entry)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as exc:
        log.warning("billing.odd_entry", reader=read.__name__, error=type(exc).__name__)
        return None


def _named_price(entry: Mapping[str, Any]) -> tuple[str, ModelPrice] | None:
    price = _price(entry)
    return (entry["model_name"], price) if price and isinstance(entry["model_name"], str) else None


def _price(entry: Mapping[str, Any]) -> ModelPrice | None:
    info = entry.get("model_info") or {}
    per_input, per_output = info.get("input_cost_per_token"), info.get("output_cost_per_token")
    if not per_input and not per_output:
        # LiteLLM lists unknown models without a price, and would charge nothing.
        return None
    prices = (_per_million(per_input), _per_million(per_output))
    if min(prices) < 0:
        raise ValueError("a negative price would mint credit")
    most = info.get("max_output_tokens")
    return ModelPrice(*prices, most if isinstance(most, int) and most > 0 else None)


def _per_million(usd_per_token: float | str | None) -> int:
    return to_nano_usd(Decimal(str(usd_per_token or 0)) * 1_000_000)


def _spend_record(row: Mapping[str, Any]) -> SpendRecord | None:
    """Return a spend log's record of one of our calls, None for others."""
    metadata = row.get("metadata") or {}
    if isinstance(metadata, str):
        metadata = json.loads(metadata)
    ours = metadata.get("spend_logs_metadata") or {}
    if "call_id" not in ours:
        return None
    cost = to_nano_usd(row.get("spend") or 0.0)
    tokens = [int(row.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
    if not 0 <= cost <= _MAX_COST_NANO_USD or not all(0 <= n <= _MAX_TOKENS for n in tokens):
        raise ValueError("beyond all measure")
    return SpendRecord(
        call_id=CallId(str(ours["call_id"])),
        cost_nano_usd=cost,
        prompt_tokens=tokens[0],
        completion_tokens=tokens[1],
        is_success=metadata.get("status") != "failure",
        response_id=str(row.get("request_id") or "")[:200] or None,
    )


def _token(key: str) -> str:
    """Return LiteLLM's token for a key: its SHA-256."""
    return hashlib.sha256(key.encode()).hexdigest()


def _day(ms: int, *, add_days: int = 0) -> str:
    return (to_datetime(ms) + timedelta(days=add_days)).date().isoformat()
