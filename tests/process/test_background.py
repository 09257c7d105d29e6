import asyncio

from chat_platform.process.background import Routine, running


async def test_a_routine_runs_at_the_start_and_again_and_survives_its_failures():
    runs = asyncio.Queue[int]()

    async def fail() -> None:
        runs.put_nowait(1)
        raise RuntimeError("not this time")

    async with running(Routine("failing", 0.001, fail)):
        await asyncio.wait_for(asyncio.gather(*(runs.get() for _ in range(3))), 5)


async def test_routines_end_with_the_block():
    ended = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async with running(Routine("waiting", 1, wait)):
        await asyncio.sleep(0)

    assert ended.is_set()
