"""The loop of a run: what comes too late finds nobody."""

import threading

from tests.faults.clock import Clock
from tests.faults.loop import new_loop


def test_a_thread_that_outlives_its_run_tells_nobody():
    loop = new_loop(Clock(), lambda _: False)
    loop.close()
    told: list[bool] = []

    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(told.append, True))
    thread.start()
    thread.join()

    assert not told
