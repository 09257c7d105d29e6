"""How the billing gateway's adapter handles odd answers, over a scripted transport."""

import httpx
import pytest

from chat_platform.adapters.litellm import LiteLlmAdmin, VirtualKeyGateway
from chat_platform.billing.keys import derive_subkey
from chat_platform.errors import UpstreamFailed
from chat_platform.values.ids import AccountId


def _admin(answer: httpx.Response) -> LiteLlmAdmin:
    transport = httpx.MockTransport(lambda _: answer)
    return LiteLlmAdmin(httpx.AsyncClient(transport=transport, base_url="http://litellm"))


def _row(call_id: str, **changes: object) -> dict[str, object]:
    metadata = {"spend_logs_metadata": {"call_id": call_id}}
    return {"metadata": metadata, "spend": 1e-5, "prompt_tokens": 3, **changes}


@pytest.mark.parametrize(
    "odd",
    [
        "text",
        None,
        7,
        [],
        _row("odd", metadata="{not json"),
        _row("odd", metadata=[1]),
        _row("odd", metadata={"spend_logs_metadata": "call_id"}),
        _row("odd", spend="much"),
        _row("odd", spend=1e12),
        _row("odd", spend=-1),
        _row("odd", prompt_tokens=2**63),
        _row("odd", prompt_tokens=[1]),
    ],
    ids=str,
)
async def test_one_odd_spend_row_leaves_the_others_as_they_are(odd: object):
    admin = _admin(httpx.Response(200, json=[_row("first"), odd, _row("last")]))
    gateway = VirtualKeyGateway(admin, derive_subkey("s" * 40), fuse_usd=1)

    records = await gateway.spend(AccountId("a"), since_ms=0, until_ms=1)

    assert records
    assert [record.call_id for record in records] == ["first", "last"]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<html>Sign in</html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"data": 5}),
        httpx.Response(404),
    ],
    ids=["html", "list", "number", "nothing"],
)
async def test_an_answer_that_tells_no_prices_is_a_failure_not_an_empty_list(
    answer: httpx.Response,
):
    with pytest.raises(UpstreamFailed):
        await _admin(answer).prices()


async def test_one_odd_price_leaves_the_others_as_they_are():
    info = {"input_cost_per_token": 1e-7, "output_cost_per_token": 1e-6}
    good = {"model_name": "good", "model_info": info}
    odd: list[object] = [5, {}, {"model_name": "x", "model_info": {"input_cost_per_token": "dear"}}]
    odd.append({"model_name": "minting", "model_info": {"input_cost_per_token": -1e-7}})

    prices = await _admin(httpx.Response(200, json={"data": [*odd, good]})).prices()

    assert list(prices) == ["good"]


@pytest.mark.parametrize(
    ("details", "version"),
    [
        (httpx.Response(200, json={"litellm_version": "1.106.2"}), "1.106.2"),
        (httpx.Response(200, json=["odd"]), None),
        (httpx.Response(401), None),
        (httpx.Response(404), None),
        (httpx.Response(500), None),
    ],
)
async def test_a_ready_gateway_tells_its_version_if_it_does_to_us(
    details: httpx.Response, version: str | None
):
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return details if request.url.path.endswith("/details") else httpx.Response(200, json={})

    transport = httpx.MockTransport(answer)
    admin = LiteLlmAdmin(httpx.AsyncClient(transport=transport, base_url="http://litellm"))

    assert [await admin.check() for _ in range(3)] == [version] * 3

    assert asked.count("/health/readiness") == 3
    assert asked.count("/health/readiness/details") == 1
