"""Whatever Letta raises, the person gets one of the contract's codes."""

import httpx
import pytest
from letta_client import APIConnectionError, APIStatusError

from chat_platform.adapters.letta.errors import translated
from chat_platform.errors import NotFound, PlatformError

REQUEST = httpx.Request("POST", "http://letta.test/v1/agents/a/messages")


def status_error(status: int, body: object) -> APIStatusError:
    response = httpx.Response(status, request=REQUEST)
    return APIStatusError("message", response=response, body=body)


def code_of(error: Exception, *, missing: NotFound | None = None) -> str:
    with pytest.raises(PlatformError) as failed, translated(missing):
        raise error
    return failed.value.code


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (402, {"error": {"type": "llm_insufficient_credits"}}, "budget_spent"),
        (200, {"error_type": "llm_error", "detail": "... PAYMENT_REQUIRED ..."}, "budget_spent"),
        (200, {"error_type": "llm_rate_limit", "detail": ""}, "too_many_requests"),
        (429, {"error": {"type": "llm_rate_limit"}}, "too_many_requests"),
        (401, {"error": {"type": "llm_authentication"}}, "model_failed"),
        (500, {"error": {"type": "llm_error"}}, "model_failed"),
        (200, {"error_type": "internal_error"}, "model_failed"),
        (200, "no json", "model_failed"),
        (401, {"detail": "Unauthorized"}, "agent_unavailable"),
        (404, {"detail": "Agent not found"}, "agent_unavailable"),
        (500, {"detail": "An internal server error occurred"}, "agent_unavailable"),
        (503, None, "agent_unavailable"),
    ],
)
def test_every_answer_has_its_code(status: int, body: object, code: str):
    assert code_of(status_error(status, body)) == code


@pytest.mark.parametrize(
    "error",
    [
        APIConnectionError(request=REQUEST),
        httpx.ReadError("cut"),
        httpx.RemoteProtocolError("cut"),
        httpx.ReadTimeout("silent"),
    ],
)
def test_a_broken_connection_is_told_as_unavailable(error: Exception):
    assert code_of(error) == "agent_unavailable"


@pytest.mark.parametrize("status", [400, 404, 422])
def test_an_id_that_letta_refuses_is_not_found_where_one_is_expected(status: int):
    missing = NotFound("There is no such memory.")

    assert code_of(status_error(status, None), missing=missing) == "not_found"


def test_our_own_errors_pass_unchanged():
    with pytest.raises(ZeroDivisionError), translated():
        raise ZeroDivisionError
