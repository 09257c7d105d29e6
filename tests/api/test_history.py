"""`/api/v1/chat/history`, `search` and `export`."""

import httpx
import pytest

from chat_platform.context import AppContext
from tests.people import Person
from tests.turn_rows import add_messages

HISTORY = "/api/v1/chat/history"


async def test_the_newest_page_comes_first_and_each_reads_from_old_to_new(
    client: httpx.AsyncClient, alice: Person, ctx: AppContext
):
    await add_messages(ctx, alice.id, ["1", "2", "3", "4", "5"])

    newest = (await client.get(f"{HISTORY}?limit=2", headers=alice.headers)).json()
    older = await client.get(
        f"{HISTORY}?limit=3&before={newest['next_before']}", headers=alice.headers
    )

    assert [m["content"] for m in newest["messages"]] == ["4", "5"]
    assert newest["has_more"] is True
    assert [m["content"] for m in older.json()["messages"]] == ["1", "2", "3"]
    assert older.json()["has_more"] is False
    assert older.json()["next_before"] is None


async def test_a_message_has_the_contracts_fields(
    client: httpx.AsyncClient, alice: Person, ctx: AppContext
):
    await add_messages(ctx, alice.id, ["Hi"])

    (message,) = (await client.get(HISTORY, headers=alice.headers)).json()["messages"]

    assert set(message) == {"id", "role", "content", "turn_id", "created_at", "status"}
    assert message["role"] == "user"
    assert message["created_at"].endswith("Z")


@pytest.mark.parametrize("limit", ["0", "201", "many"])
async def test_a_limit_out_of_range_is_refused(
    client: httpx.AsyncClient, alice: Person, limit: str
):
    response = await client.get(f"{HISTORY}?limit={limit}", headers=alice.headers)

    assert response.status_code == 422


async def test_bobs_message_is_no_cursor_for_alice(
    client: httpx.AsyncClient, alice: Person, bob: Person, ctx: AppContext
):
    (his,) = await add_messages(ctx, bob.id, ["his"])

    response = await client.get(f"{HISTORY}?before={his.id}", headers=alice.headers)

    assert (response.status_code, response.json()["code"]) == (422, "bad_cursor")


async def test_words_are_found_with_their_surroundings(
    client: httpx.AsyncClient, alice: Person, ctx: AppContext
):
    await add_messages(ctx, alice.id, ["The red fox jumps", "nothing"])

    response = await client.get("/api/v1/chat/search?q=fox", headers=alice.headers)

    (found,) = response.json()["results"]
    assert found["message"]["content"] == "The red fox jumps"
    assert "red fox" in found["snippet"]


async def test_the_history_downloads_as_markdown(
    client: httpx.AsyncClient, alice: Person, ctx: AppContext
):
    await add_messages(ctx, alice.id, ["Привет"])

    response = await client.get("/api/v1/chat/export?format=markdown", headers=alice.headers)

    assert response.headers["content-disposition"].endswith('"conversation.md"')
    assert "Привет" in response.text


async def test_the_history_downloads_as_json(
    client: httpx.AsyncClient, alice: Person, bob: Person, ctx: AppContext
):
    await add_messages(ctx, alice.id, ["hers"])
    await add_messages(ctx, bob.id, ["his"])

    response = await client.get("/api/v1/chat/export?format=json", headers=alice.headers)

    assert [m["content"] for m in response.json()["messages"]] == ["hers"]


async def test_an_unknown_format_is_refused(client: httpx.AsyncClient, alice: Person):
    response = await client.get("/api/v1/chat/export?format=pdf", headers=alice.headers)

    assert response.status_code == 422
