"""Failures that occur before any route runs."""

import httpx

from tests.people import Person


async def test_a_body_that_is_no_json_is_named_as_such(client: httpx.AsyncClient, alice: Person):
    headers = {**alice.headers, "content-type": "application/json"}

    answer = await client.post("/api/v1/chat/message", content="{bad", headers=headers)

    (error,) = answer.json()["errors"]
    assert answer.status_code == 422
    assert error["field"] == "body"
    assert error["message"].startswith("Not valid JSON")


async def test_a_wrong_field_is_named(client: httpx.AsyncClient, alice: Person):
    answer = await client.post("/api/v1/chat/message", json={"content": 7}, headers=alice.headers)

    assert [error["field"] for error in answer.json()["errors"]] == ["content"]
