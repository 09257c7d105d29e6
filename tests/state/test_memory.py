"""The memory page's blocks: read, edited, saved when the agent is free, and never lost."""

import asyncio

from chat_platform.agents.lock import hold
from chat_platform.agents.revisions import revision_of
from chat_platform.context import AppContext
from chat_platform.state.account import AccountState
from chat_platform.state.memory import MemoryState
from chat_platform.values.ids import AgentId
from tests.fakes import FakeMemory, FakeRuntime
from tests.people import Person
from tests.state.tab import OpenTab
from tests.waiting import eventually

FIRST = "The human block."


async def opened(person: Person) -> OpenTab:
    tab = OpenTab(person.cookie)
    await tab.send(MemoryState, "open")
    return tab


def form(value: str, *, revision: str = "", label: str = "human") -> dict[str, str]:
    return {"label": label, "value": value, "revision": revision or revision_of(FIRST)}


async def edited(person: Person, label: str = "human") -> OpenTab:
    tab = await opened(person)
    await tab.send(MemoryState, "edit", label)
    return tab


def shown(tab: OpenTab, label: str = "human") -> str:
    (block,) = [b for b in tab.of(MemoryState).blocks if b["label"] == label]
    return block["value"]


async def test_what_it_knows_of_the_person_comes_first(alice: Person):
    tab = await opened(alice)

    first, second = tab.of(MemoryState).blocks
    assert (first["title"], second["title"]) == ("About you", "About your agent")
    assert first["fill"] == "16 of 2,000 characters"
    assert first["percent"] == "0%"
    assert first["changed"].startswith("Changed ")


async def test_a_saved_block_is_shown_and_the_editor_closes(alice: Person):
    tab = await edited(alice)

    await tab.send(MemoryState, "save", form("Likes tea."))

    state = tab.of(MemoryState)
    assert shown(tab) == "Likes tea."
    assert (state.editing, state.is_saving, state.notice) == ("", False, "Saved.")


async def test_a_conflict_keeps_both_versions(alice: Person, memory: FakeMemory):
    tab = await edited(alice)
    await memory.write_block(AgentId(f"agent-{alice.id}"), "human", "Likes coffee.")

    await tab.send(MemoryState, "save", form("Likes tea."))

    state = tab.of(MemoryState)
    assert state.has_conflict
    assert (shown(tab), state.mine, state.editing) == ("Likes coffee.", "Likes tea.", "human")
    assert state.edit_problem.startswith("This memory changed while you were editing it.")


async def test_after_a_conflict_the_persons_version_can_win(alice: Person, memory: FakeMemory):
    tab = await edited(alice)
    await memory.write_block(AgentId(f"agent-{alice.id}"), "human", "Likes coffee.")
    await tab.send(MemoryState, "save", form("Likes tea."))

    again = form("Likes tea.", revision=tab.of(MemoryState).blocks[0]["revision"])
    await tab.send(MemoryState, "save", again)

    assert shown(tab) == "Likes tea."
    assert not tab.of(MemoryState).has_conflict


async def test_a_save_waits_until_the_agent_has_answered(ctx: AppContext, alice: Person):
    tab = await edited(alice)
    async with hold(ctx, alice.id, "message"):
        saving = asyncio.create_task(tab.send(MemoryState, "save", form("Likes tea.")))
        await eventually(lambda: tab.of(MemoryState).is_waiting)
        assert shown(tab) == FIRST

    await saving

    assert shown(tab) == "Likes tea."
    assert not tab.of(MemoryState).is_waiting


async def test_who_gives_up_waiting_saves_nothing(ctx: AppContext, alice: Person):
    tab = await edited(alice)
    async with hold(ctx, alice.id, "message"):
        saving = asyncio.create_task(tab.send(MemoryState, "save", form("Likes tea.")))
        await eventually(lambda: tab.of(MemoryState).is_waiting)

        await tab.send(MemoryState, "stop_editing")
        await saving

    state = tab.of(MemoryState)
    assert (state.editing, state.mine, state.is_waiting) == ("", "", False)
    assert shown(tab) == FIRST


async def test_of_two_saves_that_wait_the_later_one_counts(ctx: AppContext, alice: Person):
    tab = await edited(alice)
    async with hold(ctx, alice.id, "message"):
        first = asyncio.create_task(tab.send(MemoryState, "save", form("First thought.")))
        await eventually(lambda: tab.of(MemoryState).is_waiting)
        await tab.send(MemoryState, "stop_editing")
        await tab.send(MemoryState, "edit", "human")
        second = asyncio.create_task(tab.send(MemoryState, "save", form("Second thought.")))
        await first
        await eventually(lambda: tab.of(MemoryState).is_waiting)

    await second

    assert shown(tab) == "Second thought."


async def test_a_save_that_ends_late_leaves_another_blocks_editor_open(
    ctx: AppContext, alice: Person
):
    tab = await edited(alice)
    save = tab.send(MemoryState, "save", form("x" * 2001))
    async with hold(ctx, alice.id, "message"):
        saving = asyncio.create_task(save)
        await eventually(lambda: tab.of(MemoryState).is_waiting)
        await tab.send(MemoryState, "edit", "persona")

    await saving

    state = tab.of(MemoryState)
    assert (state.editing, state.edit_problem, state.mine) == ("persona", "", "")


async def test_patience_with_the_agent_ends(ctx: AppContext, alice: Person):
    tab = await edited(alice)
    tab.of(MemoryState)._patience_seconds = 0

    async with hold(ctx, alice.id, "message"):
        await tab.send(MemoryState, "save", form("Likes tea."))

    state = tab.of(MemoryState)
    assert "still busy" in state.edit_problem
    assert state.mine == "Likes tea."


async def test_a_text_that_is_too_long_stays_in_the_editor(alice: Person):
    tab = await edited(alice)

    await tab.send(MemoryState, "save", form("x" * 2001))

    state = tab.of(MemoryState)
    assert state.edit_problem == "Use at most 2,000 characters. This text has 2,001."
    assert (state.editing, len(state.mine), shown(tab)) == ("human", 2001, FIRST)


async def test_an_agent_that_is_away_is_told_and_forgotten_when_it_is_back(
    alice: Person, runtime: FakeRuntime
):
    tab = await edited(alice)
    runtime.is_down = True
    await tab.send(MemoryState, "save", form("Likes tea."))
    state = tab.of(MemoryState)
    assert "not responding" in state.problem
    assert state.mine == "Likes tea."

    runtime.is_down = False
    await tab.send(MemoryState, "save", form("Likes tea."))

    assert state.problem == state.edit_problem == ""
    assert shown(tab) == "Likes tea."


async def test_a_block_that_is_not_there_is_told(alice: Person):
    tab = await edited(alice)

    await tab.send(MemoryState, "save", form("Likes tea.", label="nothing"))

    assert tab.of(MemoryState).edit_problem == "There is no such memory block."


async def test_the_page_speaks_the_persons_language(alice: Person):
    tab = OpenTab(alice.cookie)
    await tab.send(AccountState, "load")
    tab.of(AccountState).language = "ru"

    await tab.send(MemoryState, "open")

    assert tab.of(MemoryState).blocks[0]["title"] == "О вас"
