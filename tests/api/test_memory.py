"""What the agent remembers, read and changed over REST by its person and by nobody else."""

import httpx
import pytest

from chat_platform.agents.agents import ensure_agent
from chat_platform.agents.archive import MAX_PASSAGE_CHARACTERS
from chat_platform.agents.blocks import snapshot_blocks
from chat_platform.agents.lock import hold
from chat_platform.agents.revisions import revision_of
from chat_platform.billing import budgets
from chat_platform.context import AppContext
from chat_platform.values.ids import TurnId
from tests.fakes import FakeMemory, FakeRuntime
from tests.people import Person

MEMORY = "/api/v1/agent/memory"
PASSAGES = "/api/v1/agent/passages"


async def block(client: httpx.AsyncClient, person: Person, label: str = "human") -> dict:
    found = (await client.get(MEMORY, headers=person.headers)).json()["blocks"]
    return next(b for b in found if b["label"] == label)


async def write(
    client: httpx.AsyncClient, person: Person, value: str, revision: str, label: str = "human"
) -> httpx.Response:
    return await client.put(
        f"{MEMORY}/{label}",
        json={"value": value},
        headers=person.headers | {"If-Match": f'"{revision}"'},
    )


async def history(client: httpx.AsyncClient, person: Person, label: str = "human") -> list[dict]:
    answer = await client.get(f"{MEMORY}/{label}/history", headers=person.headers)
    return answer.json()["revisions"]


async def add(client: httpx.AsyncClient, person: Person, text: str) -> dict:
    answer = await client.post(PASSAGES, json={"text": text}, headers=person.headers)
    assert answer.status_code == 201
    return answer.json()


async def test_memory_is_there_from_the_first_look(client: httpx.AsyncClient, alice: Person):
    answer = await client.get(MEMORY, headers=alice.headers)

    seen = answer.json()
    assert [b["label"] for b in seen["blocks"]] == ["persona", "human"]
    assert seen["blocks"][1] == {
        "label": "human",
        "description": "About the human",
        "value": "The human block.",
        "limit": 2000,
        "revision": revision_of("The human block."),
        "updated_at": seen["blocks"][1]["updated_at"],
    }
    assert seen["archival"] == {"count": 0, "recent": []}
    assert seen["recall"] == {"message_count": 0}


async def test_strangers_read_no_memory(client: httpx.AsyncClient):
    for path in (MEMORY, f"{MEMORY}/human/history", PASSAGES):
        assert (await client.get(path)).status_code == 401


async def test_an_edited_block_is_kept_with_its_history(client: httpx.AsyncClient, alice: Person):
    first = await block(client, alice)

    answer = await write(client, alice, "Name: Alice", first["revision"])

    assert answer.status_code == 200
    assert answer.headers["etag"] == f'"{answer.json()["revision"]}"'
    assert (await block(client, alice))["value"] == "Name: Alice"
    revisions = await history(client, alice)
    assert [r["value"] for r in revisions] == ["Name: Alice", "The human block."]
    assert [r["cause"]["kind"] for r in revisions] == ["person", "agent"]


async def test_alices_edit_does_not_touch_bobs_memory(
    client: httpx.AsyncClient, alice: Person, bob: Person
):
    his = await block(client, bob)

    await write(client, alice, "Name: Alice", (await block(client, alice))["revision"])

    assert await block(client, bob) == his
    assert "Alice" not in str(await history(client, bob))


async def test_an_edit_of_an_old_revision_is_refused_and_shows_the_new_one(
    client: httpx.AsyncClient, alice: Person
):
    first = await block(client, alice)
    await write(client, alice, "Name: Alice", first["revision"])

    answer = await write(client, alice, "Name: Eve", first["revision"])

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (412, "memory_changed")
    assert problem["value"] == "Name: Alice"
    assert problem["revision"] == revision_of("Name: Alice")
    assert (await block(client, alice))["value"] == "Name: Alice"


async def test_an_edit_must_say_what_it_edits(client: httpx.AsyncClient, alice: Person):
    answer = await client.put(f"{MEMORY}/human", json={"value": "x"}, headers=alice.headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "if_match_required")


@pytest.mark.parametrize("held", ['"{revision}"', 'W/"{revision}"', '"old", "{revision}"', "*"])
async def test_an_edit_may_name_its_revision_as_clients_and_proxies_write_it(
    client: httpx.AsyncClient, alice: Person, held: str
):
    revision = (await block(client, alice))["revision"]

    answer = await client.put(
        f"{MEMORY}/human",
        json={"value": "Name: Alice"},
        headers=alice.headers | {"If-Match": held.format(revision=revision)},
    )

    assert answer.status_code == 200


@pytest.mark.parametrize("held", ['"old", "older"', 'W/"old"', '"*"'])
async def test_an_edit_of_none_of_these_revisions_is_refused(
    client: httpx.AsyncClient, alice: Person, held: str
):
    await block(client, alice)

    answer = await client.put(
        f"{MEMORY}/human",
        json={"value": "Name: Eve"},
        headers=alice.headers | {"If-Match": held},
    )

    assert (answer.status_code, answer.json()["code"]) == (412, "memory_changed")


@pytest.mark.parametrize(("length", "status"), [(2000, 200), (2001, 422)])
async def test_a_block_holds_as_much_as_its_limit(
    client: httpx.AsyncClient, alice: Person, length: int, status: int
):
    first = await block(client, alice)

    answer = await write(client, alice, "й" * length, first["revision"])

    assert answer.status_code == status
    if status == 422:
        assert answer.json()["code"] == "memory_too_long"
        assert await block(client, alice) == first


async def test_an_unknown_block_is_not_found(client: httpx.AsyncClient, alice: Person):
    await block(client, alice)

    assert (await write(client, alice, "x", "any", label="secrets")).status_code == 404
    answer = await client.get(f"{MEMORY}/secrets/history", headers=alice.headers)
    assert answer.status_code == 404


async def test_editing_waits_for_a_running_turn(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    first = await block(client, alice)

    async with hold(ctx, alice.id, "message"):
        refused = await write(client, alice, "Name: Alice", first["revision"])
    allowed = await write(client, alice, "Name: Alice", first["revision"])

    assert (refused.status_code, refused.json()["code"]) == (409, "turn_running")
    assert allowed.status_code == 200


async def test_a_refused_edit_does_not_keep_the_lock(client: httpx.AsyncClient, alice: Person):
    first = await block(client, alice)
    await write(client, alice, "x" * 9999, first["revision"])

    assert (await write(client, alice, "Name: Alice", first["revision"])).status_code == 200


async def test_an_undo_brings_an_earlier_value_back_as_a_new_revision(
    client: httpx.AsyncClient, alice: Person
):
    first = await block(client, alice)
    await write(client, alice, "Name: Eve", first["revision"])

    answer = await client.post(
        f"{MEMORY}/human/undo", json={"revision": first["revision"]}, headers=alice.headers
    )

    assert answer.json()["value"] == "The human block."
    assert [r["cause"]["kind"] for r in await history(client, alice)] == ["undo", "person", "agent"]


async def test_bob_cannot_undo_to_alices_words(
    client: httpx.AsyncClient, alice: Person, bob: Person
):
    hers = await write(client, alice, "Alice's secret", (await block(client, alice))["revision"])
    await block(client, bob)

    answer = await client.post(
        f"{MEMORY}/human/undo",
        json={"revision": hers.json()["revision"]},
        headers=bob.headers,
    )

    assert answer.status_code == 404


async def test_an_edit_by_the_agent_names_its_turn_and_step(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person, memory: FakeMemory
):
    agent_id = await ensure_agent(ctx, alice.account)
    async with hold(ctx, alice.id, "message") as turn_id:
        memory.values[agent_id, "human"] = "Likes tea."
        changed = await snapshot_blocks(ctx, alice.id, turn_id, 3)
        unchanged = await snapshot_blocks(ctx, alice.id, turn_id, 4)

    newest = (await history(client, alice))[0]
    assert [revision.label for revision in changed] == ["human"]
    assert unchanged == []
    assert newest["value"] == "Likes tea."
    assert newest["cause"] == {
        "kind": "agent",
        "turn_id": turn_id,
        "message_id": None,
        "step": 3,
    }


async def test_what_changed_unseen_can_still_be_brought_back(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person, memory: FakeMemory
):
    agent_id = await ensure_agent(ctx, alice.account)
    memory.values[agent_id, "human"] = "Written by nobody we know."
    unseen = await block(client, alice)

    await write(client, alice, "Name: Alice", unseen["revision"])

    values = [revision["value"] for revision in await history(client, alice)]
    assert values == ["Name: Alice", "Written by nobody we know.", "The human block."]


async def test_a_snapshot_without_an_agent_finds_nothing(ctx: AppContext, alice: Person):
    assert await snapshot_blocks(ctx, alice.id, TurnId("none"), 1) == []


async def test_memories_are_added_counted_and_deleted(client: httpx.AsyncClient, alice: Person):
    kept = await add(client, alice, "The bike is red.")
    dropped = await add(client, alice, "  The car is blue.\n")

    answer = await client.delete(f"{PASSAGES}/{dropped['id']}", headers=alice.headers)

    archival = (await client.get(MEMORY, headers=alice.headers)).json()["archival"]
    assert answer.status_code == 204
    assert dropped["text"] == "The car is blue."
    assert archival == {"count": 1, "recent": [kept]}


async def test_memories_page_without_gaps_newest_first(client: httpx.AsyncClient, alice: Person):
    texts = [(await add(client, alice, f"Memory {number}"))["text"] for number in range(7)]

    seen: list[str] = []
    before: dict[str, str] = {}
    while True:
        page = (
            await client.get(PASSAGES, params={"limit": 3, **before}, headers=alice.headers)
        ).json()
        seen += [passage["text"] for passage in page["passages"]]
        if not page["has_more"]:
            break
        before = {"before": page["next_before"]}

    assert seen == texts[::-1]
    assert page["next_before"] is None


async def test_memories_are_searched(client: httpx.AsyncClient, alice: Person):
    await add(client, alice, "The bike is red.")
    await add(client, alice, "The car is blue.")

    answer = await client.get(PASSAGES, params={"q": " bike "}, headers=alice.headers)

    assert [p["text"] for p in answer.json()["passages"]] == ["The bike is red."]
    assert answer.json()["has_more"] is False


async def test_bob_neither_sees_nor_deletes_alices_memories(
    client: httpx.AsyncClient, alice: Person, bob: Person
):
    hers = await add(client, alice, "Alice's secret")

    seen = await client.get(PASSAGES, headers=bob.headers)
    deleted = await client.delete(f"{PASSAGES}/{hers['id']}", headers=bob.headers)

    assert seen.json()["passages"] == []
    assert deleted.status_code == 404
    assert len((await client.get(PASSAGES, headers=alice.headers)).json()["passages"]) == 1


@pytest.mark.parametrize("text", ["", "   ", "x" * (MAX_PASSAGE_CHARACTERS + 1), "a\x00b"])
async def test_unfit_memories_are_refused(client: httpx.AsyncClient, alice: Person, text: str):
    answer = await client.post(PASSAGES, json={"text": text}, headers=alice.headers)

    assert answer.status_code == 422


@pytest.mark.parametrize("limit", ["0", "201", "x"])
async def test_a_page_of_memories_is_bounded(client: httpx.AsyncClient, alice: Person, limit: str):
    answer = await client.get(PASSAGES, params={"limit": limit}, headers=alice.headers)

    assert answer.status_code == 422


async def test_memory_is_unavailable_while_the_agent_server_is_down(
    client: httpx.AsyncClient, alice: Person, runtime: FakeRuntime
):
    runtime.is_down = True

    answer = await client.get(MEMORY, headers=alice.headers)

    assert (answer.status_code, answer.json()["code"]) == (503, "agent_unavailable")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", MEMORY), ("GET", PASSAGES), ("POST", "/api/v1/agent/reset"), ("POST", PASSAGES)],
)
async def test_a_token_for_chat_does_not_open_memory(
    client: httpx.AsyncClient, alice: Person, method: str, path: str
):
    body = {"name": "bot", "scopes": ["chat"], "expires_in_days": 1}
    token = (await client.post("/api/v1/user/tokens", json=body, headers=alice.headers)).json()[
        "token"
    ]

    answer = await client.request(
        method, path, json={}, headers={"Authorization": f"Bearer {token}"}
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


async def test_memories_that_cost_are_refused_when_the_budget_is_spent(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    kept = await add(client, alice, "The bike is red.")
    await budgets.set_limit(ctx, alice.id, limit_nano_usd=0)

    added = await client.post(PASSAGES, json={"text": "More"}, headers=alice.headers)
    searched = await client.get(PASSAGES, params={"q": "bike"}, headers=alice.headers)
    read = await client.get(PASSAGES, headers=alice.headers)
    usage = await client.get("/api/v1/user/usage", headers=alice.headers)

    assert added.json()["resets_at"] == usage.json()["budget"]["resets_at"]
    assert (added.status_code, added.json()["code"]) == (402, "budget_spent")
    assert (searched.status_code, searched.json()["code"]) == (402, "budget_spent")
    assert read.json()["passages"] == [kept]
