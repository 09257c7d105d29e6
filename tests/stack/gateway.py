"""Keeps LiteLLM of the rig running in the foreground, as a supervisor expects of a program.

If LiteLLM ends, so does this, with its database still running: started again, it starts only what
is missing. SIGTERM stops all of it.
"""

import json
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from tests.litellm_rig import RigProgram

_LOOK_SECONDS = 0.2


def main() -> int:
    told = json.loads(sys.argv[1])
    rig = RigProgram(Path(told["home"]), ports=tuple(told["ports"]), environment={})
    signal.signal(signal.SIGTERM, _exit)
    try:
        started = rig.up()
        print(started.stdout, flush=True)
        while rig.pid() is not None:
            time.sleep(_LOOK_SECONDS)
    except SystemExit:
        rig.down()
        raise
    return 1


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
