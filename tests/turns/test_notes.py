"""In its next turn the agent is told what it did not keep: once, in order, shortened."""

from chat_platform.context import AppContext
from chat_platform.errors import UpstreamFailed
from chat_platform.ports import TextPiece
from tests.fakes import FakeRuntime
from tests.people import Person
from tests.turn_talk import talk


async def test_the_next_turn_tells_what_the_agent_did_not_keep(
    ctx: AppContext, alice: Person, runtime: FakeRuntime
):
    runtime.script.append([TextPiece("Once upon"), UpstreamFailed("Broken.")])
    await talk(ctx, alice, "Tell a story")

    await talk(ctx, alice, "Go on")

    _, text, note = runtime.posted[-1]
    assert text == "Go on"
    assert "The person wrote: Tell a story" in note
    assert "You began to answer: Once upon" in note


async def test_it_is_told_once(ctx: AppContext, alice: Person, runtime: FakeRuntime):
    runtime.script.append([UpstreamFailed("Broken.")])
    await talk(ctx, alice, "One")
    await talk(ctx, alice, "Two")

    await talk(ctx, alice, "Three")

    assert [note != "" for _, _, note in runtime.posted] == [False, True, False]


async def test_it_is_told_again_when_the_telling_turn_failed_too(
    ctx: AppContext, alice: Person, runtime: FakeRuntime
):
    runtime.script.extend([[UpstreamFailed("Broken.")], [UpstreamFailed("Broken.")]])
    await talk(ctx, alice, "One")
    await talk(ctx, alice, "Two")

    await talk(ctx, alice, "Three")

    note = runtime.posted[-1][2]
    assert note.index("One") < note.index("Two")


async def test_the_note_stays_short(ctx: AppContext, alice: Person, runtime: FakeRuntime):
    runtime.script.extend([[TextPiece("long " * 4000), UpstreamFailed("Broken.")]] * 5)
    for _ in range(5):
        await talk(ctx, alice, "x" * 20_000)

    await talk(ctx, alice, "Now?")

    assert 0 < len(runtime.posted[-1][2]) < 4000
