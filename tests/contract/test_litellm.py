"""The gateway adapter against the real LiteLLM with its database."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest

from chat_platform.adapters.litellm import admin_client, open_gateway
from chat_platform.errors import Unavailable
from chat_platform.ports import BillingGateway, ModelPrice, SpendRecord
from chat_platform.settings import Settings
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, CallId, new_id
from tests.litellm_rig import LiteLlmRig
from tests.proxy.fake_upstream import FakeUpstream, completion
from tests.waiting import eventually_found

pytestmark = [pytest.mark.rig, pytest.mark.timeout(400)]


@pytest.fixture
async def real(settings: Settings, litellm_rig: LiteLlmRig) -> AsyncIterator[BillingGateway]:
    settings = litellm_rig.settings(settings)
    async with admin_client(settings) as http:
        yield open_gateway(settings, http)


@pytest.fixture
async def model(litellm_rig: LiteLlmRig) -> AsyncIterator[FakeUpstream]:
    upstream = FakeUpstream(choose=lambda _: completion(cost=None, id=f"chatcmpl-{new_id()}"))
    async with upstream.serving(litellm_rig.upstream_port):
        yield upstream


@pytest.fixture
def account_id() -> AccountId:
    return AccountId(new_id())


async def _call(rig: LiteLlmRig, key: str, call_id: str = "") -> int:
    headers = {
        "Authorization": f"Bearer {key}",
        "x-litellm-spend-logs-metadata": json.dumps({"call_id": call_id}),
    }
    body = {"model": "demo-chat", "messages": [{"role": "user", "content": "Hi"}]}
    async with httpx.AsyncClient(base_url=rig.url, timeout=20, trust_env=False) as http:
        answer = await http.post("/v1/chat/completions", json=body, headers=headers)
    return answer.status_code


async def test_an_account_opened_many_times_at_once_has_one_key_that_works(
    real: BillingGateway, litellm_rig: LiteLlmRig, model: FakeUpstream, account_id: AccountId
):
    keys = await asyncio.gather(*(real.open_account(account_id, key_version=1) for _ in range(6)))

    assert len(set(keys)) == 1
    assert await _call(litellm_rig, keys[0]) == 200


async def test_a_replaced_key_is_void_and_the_new_one_works(
    real: BillingGateway, litellm_rig: LiteLlmRig, model: FakeUpstream, account_id: AccountId
):
    old = await real.open_account(account_id, key_version=1)

    new = await real.replace_key(account_id, key_version=2)

    assert await _call(litellm_rig, old) == 401
    assert await _call(litellm_rig, new) == 200


async def test_a_blocked_account_cannot_call_until_it_is_unblocked(
    real: BillingGateway, litellm_rig: LiteLlmRig, model: FakeUpstream, account_id: AccountId
):
    key = await real.open_account(account_id, key_version=1)

    await real.set_blocked(account_id, is_blocked=True)
    blocked = await _call(litellm_rig, key)
    await real.set_blocked(account_id, is_blocked=False)

    assert blocked == 401
    assert await _call(litellm_rig, key) == 200


async def test_a_closed_accounts_key_is_void_and_closing_again_is_fine(
    real: BillingGateway, litellm_rig: LiteLlmRig, model: FakeUpstream, account_id: AccountId
):
    key = await real.open_account(account_id, key_version=1)

    await real.close_account(account_id)
    await real.close_account(account_id)

    assert await _call(litellm_rig, key) == 401


async def test_prices_are_the_providers(real: BillingGateway):
    prices = await real.prices()

    assert prices["demo-chat"] == ModelPrice(150_000_000, 600_000_000, 16_384)
    assert prices["demo-embedding"] == ModelPrice(20_000_000, 0, None)


async def test_what_a_call_cost_is_found_by_our_call_id(
    real: BillingGateway, litellm_rig: LiteLlmRig, model: FakeUpstream, account_id: AccountId
):
    key = await real.open_account(account_id, key_version=1)
    call_id = new_id()
    await _call(litellm_rig, key, call_id)

    async def find() -> Sequence[SpendRecord] | None:
        return await real.spend(account_id, since_ms=now_ms() - 60_000, until_ms=now_ms())

    records = await eventually_found(find, seconds=30, pause_seconds=0.5)

    assert [(r.call_id, r.cost_nano_usd, r.is_success) for r in records] == [
        (CallId(call_id), 4800, True)
    ]


async def test_a_ready_gateway_passes_its_check_and_tells_its_version(real: BillingGateway):
    version = await real.check()

    assert version
    assert version[0].isdigit()


async def test_a_gateway_that_is_down_is_unavailable(settings: Settings):
    down = settings.model_copy(update={"litellm_base_url": "http://127.0.0.1:9"})
    async with admin_client(down) as http:
        with pytest.raises(Unavailable):
            await open_gateway(down, http).check()
