"""How a block's history is shown, and how an earlier text is restored."""

from collections.abc import Sequence

import pytest

from chat_platform.agents import blocks
from chat_platform.agents import revisions as block_revisions
from chat_platform.agents.lock import hold
from chat_platform.agents.revisions import Cause, CauseKind, revision_of
from chat_platform.context import AppContext
from chat_platform.errors import NotFound
from chat_platform.state.block_history import _SHOWN, BlockHistoryState
from chat_platform.state.memory import MemoryState
from chat_platform.values.ids import AgentId
from tests.people import Person
from tests.state.tab import OpenTab
from tests.turn_rows import add_turn

FIRST = "The human block."


async def agent_writes(
    ctx: AppContext, person: Person, values: Sequence[str], cause: Cause | None = None
) -> None:
    """Make the agent write these texts into its block about the person, one after the other."""
    agent_id = AgentId(f"agent-{person.id}")
    for value in values:
        block = await ctx.memory.write_block(agent_id, "human", value)
        await block_revisions.record(ctx, person.id, [block], cause or Cause("agent"))


@pytest.fixture
async def tab(alice: Person) -> OpenTab:
    """Alice's tab; her agent exists and has written its first revision."""
    tab = OpenTab(alice.cookie)
    await tab.send(MemoryState, "open")
    return tab


async def take_back(tab: OpenTab, label: str, revision: str) -> None:
    """Restore an earlier text, and do what the page does afterwards."""
    if await tab.send(MemoryState, "undo", label, revision):
        await tab.send(MemoryState, "open")
        await tab.send(BlockHistoryState, "refresh")


async def test_each_change_is_shown_against_what_was_before(
    ctx: AppContext, alice: Person, tab: OpenTab
):
    await agent_writes(ctx, alice, ["Likes tea.", "Likes <b>green</b> tea."])

    await tab.send(BlockHistoryState, "toggle", "human")

    newest, _, first = tab.of(BlockHistoryState).revisions
    assert newest["diff"] == "Likes <ins>&lt;b&gt;green&lt;/b&gt; </ins>tea."
    assert first["diff"] == f"<ins>{FIRST}</ins>"
    assert [r["is_current"] for r in (newest, first)] == [True, False]


async def test_each_change_says_who_made_it(ctx: AppContext, alice: Person, tab: OpenTab):
    turn = await add_turn(ctx, alice.id, status="finished")
    by_turn = Cause("agent", turn.id, 3)
    await agent_writes(ctx, alice, ["In a turn."], by_turn)
    await agent_writes(ctx, alice, ["By itself."])
    await blocks.write_block(
        ctx, alice.account, "human", "By hand.", expected_revisions=[revision_of("By itself.")]
    )
    await blocks.undo_block(ctx, alice.account, "human", revision_of(FIRST))

    await tab.send(BlockHistoryState, "toggle", "human")

    revisions = tab.of(BlockHistoryState).revisions
    assert [r["cause"] for r in revisions] == [
        "You undid a change",
        "You",
        "Your agent",
        "Your agent, in step 3 of an answer",
        "Original text",
    ]
    assert [r["turn_id"] for r in revisions] == ["", "", "", turn.id, ""]


@pytest.mark.parametrize("kind", ["person", "undo"])
async def test_a_change_by_hand_leads_to_no_message(
    ctx: AppContext, alice: Person, tab: OpenTab, kind: CauseKind
):
    turn = await add_turn(ctx, alice.id, kind="memory", status="finished")
    await agent_writes(ctx, alice, ["New."], Cause(kind, turn.id))

    await tab.send(BlockHistoryState, "toggle", "human")

    assert tab.of(BlockHistoryState).revisions[0]["turn_id"] == ""


@pytest.mark.parametrize(
    ("changes", "shown", "last_cause"),
    [
        (_SHOWN - 1, _SHOWN, "Original text"),
        (_SHOWN, _SHOWN, "Your agent"),
        (_SHOWN + 5, _SHOWN, "Your agent"),
    ],
)
async def test_a_long_history_shows_its_newest_part(
    ctx: AppContext, alice: Person, tab: OpenTab, changes: int, shown: int, last_cause: str
):
    await agent_writes(ctx, alice, [f"Version {n}" for n in range(changes)])

    await tab.send(BlockHistoryState, "toggle", "human")

    revisions = tab.of(BlockHistoryState).revisions
    assert len(revisions) == shown
    assert revisions[-1]["cause"] == last_cause
    if last_cause == "Your agent":
        assert "<del>" in revisions[-1]["diff"]


async def test_an_earlier_text_comes_back_as_a_new_change(
    ctx: AppContext, alice: Person, tab: OpenTab
):
    await agent_writes(ctx, alice, ["Likes tea."])
    await tab.send(BlockHistoryState, "toggle", "human")

    await take_back(tab, "human", revision_of(FIRST))

    state = tab.of(BlockHistoryState)
    assert state.revisions[0]["cause"] == "You undid a change"
    assert state.notice == "Earlier version restored."


async def test_a_revision_that_never_was_cannot_come_back(tab: OpenTab):
    await tab.send(BlockHistoryState, "toggle", "human")

    await take_back(tab, "human", "0" * 16)

    assert tab.of(BlockHistoryState).history_problem == "There is no such version of this memory."


async def test_an_earlier_text_of_another_block_cannot_come_back(
    ctx: AppContext, alice: Person, tab: OpenTab
):
    await agent_writes(ctx, alice, ["Likes tea."])

    await take_back(tab, "persona", revision_of(FIRST))

    assert tab.of(BlockHistoryState).history_problem == "There is no such version of this memory."


async def test_while_the_agent_answers_nothing_comes_back_and_later_it_does(
    ctx: AppContext, alice: Person, tab: OpenTab
):
    await agent_writes(ctx, alice, ["Likes tea."])
    state = tab.of(BlockHistoryState)
    async with hold(ctx, alice.id, "message"):
        await take_back(tab, "human", revision_of(FIRST))
    assert "still busy" in state.history_problem

    await take_back(tab, "human", revision_of(FIRST))

    assert state.history_problem == ""


async def test_a_change_that_was_taken_back_does_not_show_in_another_blocks_history(
    ctx: AppContext, alice: Person, tab: OpenTab
):
    await agent_writes(ctx, alice, ["Likes tea."])
    await tab.send(BlockHistoryState, "toggle", "persona")

    await take_back(tab, "human", revision_of(FIRST))

    (only,) = tab.of(BlockHistoryState).revisions
    assert "The persona block." in only["diff"]


async def test_a_second_press_closes_the_history(tab: OpenTab):
    await tab.send(BlockHistoryState, "toggle", "human")

    await tab.send(BlockHistoryState, "toggle", "human")

    assert (tab.of(BlockHistoryState).label, tab.of(BlockHistoryState).revisions) == ("", [])


async def test_a_block_that_is_not_there_has_no_history(tab: OpenTab):
    with pytest.raises(NotFound):
        await tab.send(BlockHistoryState, "toggle", "nothing")

    assert tab.of(BlockHistoryState).label == ""


async def test_bobs_page_shows_his_own_history(
    ctx: AppContext, alice: Person, bob: Person, tab: OpenTab
):
    await agent_writes(ctx, alice, ["Alice's secret."])
    his = OpenTab(bob.cookie)
    await his.send(MemoryState, "open")

    await his.send(BlockHistoryState, "toggle", "human")
    await take_back(his, "human", revision_of("Alice's secret."))

    assert "secret" not in str(his.of(BlockHistoryState).revisions)
    assert his.of(BlockHistoryState).history_problem == "There is no such version of this memory."
