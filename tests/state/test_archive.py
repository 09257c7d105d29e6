"""The archive page by page, its passages added and deleted, and starting over."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from chat_platform.agents.agents import ensure_agent
from chat_platform.agents.lock import hold
from chat_platform.billing import budgets
from chat_platform.context import AppContext
from chat_platform.ports import Passage
from chat_platform.state.account import AccountState
from chat_platform.state.archive import PAGE_PASSAGES, ArchiveState
from chat_platform.values.ids import AgentId
from tests.fakes import FakeMemory, FakeRuntime
from tests.people import Person
from tests.state.tab import OpenTab
from tests.waiting import eventually


@dataclass
class MeetingMemory(FakeMemory):
    """Answers this many requests for passages at the same time."""

    together: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(1))
    late: asyncio.Event | None = None
    """The next answer waits for it."""

    async def passages(
        self, agent_id: AgentId, *, query: str = "", limit: int = 50, before: str | None = None
    ) -> list[Passage]:
        found = await super().passages(agent_id, query=query, limit=limit, before=before)
        late, self.late = self.late, None
        if late:
            await late.wait()
        await self.together.wait()
        return found


@pytest.fixture
def memory() -> MeetingMemory:
    return MeetingMemory()


async def archived(
    ctx: AppContext, memory: FakeMemory, person: Person, *texts: str
) -> tuple[OpenTab, AgentId]:
    """Open the page of somebody whose agent has archived these texts."""
    agent_id = await ensure_agent(ctx, person.account)
    for text in texts:
        await memory.add_passage(agent_id, text)
    tab = OpenTab(person.cookie)
    await tab.send(ArchiveState, "list_newest")
    return tab, agent_id


def texts(tab: OpenTab) -> list[str]:
    return [passage["text"] for passage in tab.of(ArchiveState).passages]


def numbered(count: int) -> list[str]:
    return [f"Passage {n}" for n in range(count)]


async def test_an_empty_archive_says_so(ctx: AppContext, memory: FakeMemory, alice: Person):
    tab, _ = await archived(ctx, memory, alice)

    assert tab.of(ArchiveState).is_empty
    assert tab.of(ArchiveState).next_before == ""


async def test_a_list_that_arrives_late_hides_nothing_that_was_added_meanwhile(
    ctx: AppContext, memory: MeetingMemory, alice: Person
):
    tab, _ = await archived(ctx, memory, alice, "The first.")
    late = memory.late = asyncio.Event()
    listing = asyncio.create_task(tab.send(ArchiveState, "list_newest"))
    await eventually(lambda: not memory.late)

    await tab.send(ArchiveState, "add", {"text": "The second."})
    late.set()
    await listing

    assert texts(tab) == ["The second.", "The first."]


async def test_page_after_page_shows_every_passage_once(
    ctx: AppContext, memory: FakeMemory, alice: Person
):
    tab, _ = await archived(ctx, memory, alice, *numbered(2 * PAGE_PASSAGES + 1))
    assert len(texts(tab)) == PAGE_PASSAGES

    await tab.send(ArchiveState, "show_more")
    await tab.send(ArchiveState, "show_more")

    assert texts(tab) == numbered(2 * PAGE_PASSAGES + 1)[::-1]
    assert tab.of(ArchiveState).next_before == ""


async def test_a_full_last_page_offers_no_empty_one(
    ctx: AppContext, memory: FakeMemory, alice: Person
):
    tab, _ = await archived(ctx, memory, alice, *numbered(PAGE_PASSAGES))

    assert tab.of(ArchiveState).next_before == ""


async def test_a_double_press_shows_no_passage_twice(
    ctx: AppContext, memory: MeetingMemory, alice: Person
):
    tab, _ = await archived(ctx, memory, alice, *numbered(3 * PAGE_PASSAGES))
    memory.together = asyncio.Barrier(2)

    await asyncio.gather(*(tab.send(ArchiveState, "show_more") for _ in range(2)))

    assert texts(tab) == numbered(3 * PAGE_PASSAGES)[: PAGE_PASSAGES - 1 : -1]


async def test_what_was_searched_for_last_is_shown(
    ctx: AppContext, memory: MeetingMemory, alice: Person
):
    tab, _ = await archived(ctx, memory, alice, "Green tea", "Coffee")
    memory.together = asyncio.Barrier(2)
    searches = [{"words": "tea"}, {"words": "Coffee"}]

    await asyncio.gather(*(tab.send(ArchiveState, "search", words) for words in searches))

    assert texts(tab) == ["Coffee"]


async def test_there_is_no_more_after_a_search(ctx: AppContext, memory: FakeMemory, alice: Person):
    tab, _ = await archived(ctx, memory, alice, "Green tea", *numbered(PAGE_PASSAGES + 1))

    await tab.send(ArchiveState, "search", {"words": " tea "})
    await tab.send(ArchiveState, "show_more")

    assert texts(tab) == ["Green tea"]
    assert tab.of(ArchiveState).query == "tea"


async def test_a_search_that_finds_nothing_is_no_empty_archive(
    ctx: AppContext, memory: FakeMemory, alice: Person
):
    tab, _ = await archived(ctx, memory, alice, "Green tea")

    await tab.send(ArchiveState, "search", {"words": "coffee"})
    assert tab.of(ArchiveState).is_empty
    assert tab.of(ArchiveState).query == "coffee"

    await tab.send(ArchiveState, "list_newest")
    assert texts(tab) == ["Green tea"]


async def test_without_budget_a_search_is_refused_in_words(
    ctx: AppContext, memory: FakeMemory, alice: Person
):
    tab, _ = await archived(ctx, memory, alice, "Green tea")
    await budgets.set_limit(ctx, alice.id, limit_nano_usd=0)

    await tab.send(ArchiveState, "search", {"words": "tea"})

    assert tab.of(ArchiveState).archive_problem.startswith("Your budget is spent.")


async def test_an_added_passage_is_shown_first_in_an_empty_form(
    ctx: AppContext, memory: FakeMemory, alice: Person
):
    tab, _ = await archived(ctx, memory, alice, "Old")

    await tab.send(ArchiveState, "add", {"text": " New "})

    assert texts(tab) == ["New", "Old"]
    assert tab.of(ArchiveState).add_form == 1


@pytest.mark.parametrize("text", ["", "  \n"])
async def test_nothing_is_not_added(ctx: AppContext, memory: FakeMemory, alice: Person, text: str):
    tab, agent_id = await archived(ctx, memory, alice)

    await tab.send(ArchiveState, "add", {"text": text})

    assert memory.archive.get(agent_id, []) == []
    assert tab.of(ArchiveState).add_form == 0


async def test_a_passage_that_is_too_long_stays_in_the_form(
    ctx: AppContext, memory: FakeMemory, alice: Person
):
    tab, _ = await archived(ctx, memory, alice)

    await tab.send(ArchiveState, "add", {"text": "x" * 8001})

    assert "at most 8,000 characters" in tab.of(ArchiveState).add_problem
    assert tab.of(ArchiveState).add_form == 0


async def test_deleting_asks_first(ctx: AppContext, memory: FakeMemory, alice: Person):
    tab, _ = await archived(ctx, memory, alice, "One", "Two")
    passage_id = tab.of(ArchiveState).passages[0]["id"]

    await tab.send(ArchiveState, "doubt", passage_id)
    assert tab.of(ArchiveState).doubtful == passage_id
    await tab.send(ArchiveState, "doubt", "")

    assert tab.of(ArchiveState).doubtful == ""
    assert texts(tab) == ["Two", "One"]


async def test_a_passage_that_is_not_shown_is_not_asked_about(
    ctx: AppContext, memory: FakeMemory, alice: Person
):
    tab, _ = await archived(ctx, memory, alice, "One")

    await tab.send(ArchiveState, "doubt", "passage-of-somebody-else")

    assert tab.of(ArchiveState).doubtful == ""


async def test_a_deleted_passage_leaves_the_page(
    ctx: AppContext, memory: FakeMemory, alice: Person
):
    tab, _ = await archived(ctx, memory, alice, "One", "Two")
    passage_id = tab.of(ArchiveState).passages[0]["id"]
    await tab.send(ArchiveState, "doubt", passage_id)

    await tab.send(ArchiveState, "delete", passage_id)

    assert texts(tab) == ["One"]
    assert tab.of(ArchiveState).doubtful == ""


async def test_a_passage_that_is_gone_already_is_told_and_leaves_the_page(
    ctx: AppContext, memory: FakeMemory, alice: Person
):
    tab, agent_id = await archived(ctx, memory, alice, "One", "Two")
    gone = tab.of(ArchiveState).passages[0]["id"]
    await memory.delete_passage(agent_id, gone)

    await tab.send(ArchiveState, "delete", gone)

    assert tab.of(ArchiveState).add_problem == "There is no such passage."
    assert texts(tab) == ["One"]


async def test_an_agent_that_is_away_leaves_the_list_as_it_was(
    ctx: AppContext, memory: FakeMemory, runtime: FakeRuntime, alice: Person
):
    tab, _ = await archived(ctx, memory, alice, "One")
    runtime.is_down = True

    await tab.send(ArchiveState, "list_newest")

    assert "not responding" in tab.of(ArchiveState).archive_problem
    assert texts(tab) == ["One"]


async def test_bob_sees_and_deletes_nothing_of_alices(
    ctx: AppContext, memory: FakeMemory, alice: Person, bob: Person
):
    hers, agent_id = await archived(ctx, memory, alice, "Secret")
    his, _ = await archived(ctx, memory, bob)

    await his.send(ArchiveState, "delete", hers.of(ArchiveState).passages[0]["id"])

    assert texts(his) == []
    assert [p.text for p in memory.archive[agent_id]] == ["Secret"]


async def start_over(tab: OpenTab, confirm: Any, what: str = "memory") -> list[str]:
    form = {"confirm": confirm, "what": what}
    return [event.fn.__name__ for event in await tab.send(ArchiveState, "start_over", form)]


@pytest.mark.parametrize("word", ["", "rest", "сброс", None])
async def test_another_word_forgets_nothing(
    ctx: AppContext, memory: FakeMemory, alice: Person, word: Any
):
    tab, agent_id = await archived(ctx, memory, alice, "One")

    assert await start_over(tab, word) == []

    assert tab.of(ArchiveState).reset_problem == "Type the word “reset” to confirm."
    assert len(memory.archive[agent_id]) == 1


@pytest.mark.parametrize("word", ["reset", " RESET "])
async def test_the_word_empties_the_memory_and_keeps_the_agent(
    ctx: AppContext, memory: FakeMemory, runtime: FakeRuntime, alice: Person, word: str
):
    tab, agent_id = await archived(ctx, memory, alice, "One")
    await memory.write_block(agent_id, "human", "Likes tea.")

    assert await start_over(tab, word) == ["open", "list_newest"]

    assert memory.archive[agent_id] == []
    assert memory.values[agent_id, "human"] == "The human block."
    assert runtime.deleted == []
    assert "has been reset" in tab.of(ArchiveState).notice


async def test_the_whole_agent_is_replaced(
    ctx: AppContext, memory: FakeMemory, runtime: FakeRuntime, alice: Person
):
    tab, agent_id = await archived(ctx, memory, alice, "One")

    assert await start_over(tab, "reset", "agent") == ["open", "list_newest"]
    await tab.send(ArchiveState, "list_newest")

    assert runtime.deleted == [agent_id]
    assert texts(tab) == []


async def test_in_russian_the_word_is_russian(ctx: AppContext, memory: FakeMemory, alice: Person):
    tab, _ = await archived(ctx, memory, alice, "One")
    tab.of(AccountState).language = "ru"

    assert await start_over(tab, "reset") == []
    word = tab.of(ArchiveState).reset_problem.partition("«")[2].partition("»")[0]

    assert await start_over(tab, word) == ["open", "list_newest"]


@pytest.mark.parametrize("what", ["memory", "agent"])
async def test_while_the_agent_answers_nothing_starts_over(
    ctx: AppContext, memory: FakeMemory, alice: Person, what: str
):
    tab, agent_id = await archived(ctx, memory, alice, "One")

    async with hold(ctx, alice.id, "message"):
        assert await start_over(tab, "reset", what) == []

    assert "still busy" in tab.of(ArchiveState).reset_problem
    assert len(memory.archive[agent_id]) == 1
