"""Plays one schedule on a real database, and waits until everything has come to rest."""

import asyncio
from typing import get_args

from tests.faults.people import People
from tests.faults.processes import Process
from tests.faults.rest import come_to_rest
from tests.faults.schedule import Deed
from tests.faults.stage import Stage
from tests.faults.troubles import Troubles


async def play(stage: Stage) -> Process:
    """Play all actions; return the process that observes at the end, when all is at rest.

    Raises Restless if something does not come to rest.
    """
    await stage.open()
    people, troubles = People(stage), Troubles(stage)
    began = asyncio.get_running_loop().time()
    for action in stage.schedule.actions:
        await asyncio.sleep(began + action.at_seconds - asyncio.get_running_loop().time())
        actor = people if action.what in get_args(Deed) else troubles
        stage.do(getattr(actor, action.what)(action), name=f"{action.what} {action.text}")
    return await come_to_rest(stage)
