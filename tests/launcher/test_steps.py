import io
import re

import pytest

from chat_platform.launcher.steps import Steps


class Gone(io.StringIO):
    """A terminal that was closed."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError


def test_a_step_tells_what_happens_and_how_long_it_took():
    out = io.StringIO()

    with Steps(out).step("Install Letta", hint="once"):
        pass

    begin, end = out.getvalue().splitlines()
    assert begin == "  ..  Install Letta (once)"
    assert re.fullmatch(r"  ok  Install Letta \(\d+\.\d s\)", end)


def test_a_step_that_fails_says_so():
    out = io.StringIO()

    with pytest.raises(ValueError, match="no"), Steps(out).step("Install Letta"):
        raise ValueError("no")

    assert "not done" in out.getvalue()


def test_a_closed_terminal_stops_no_step():
    done = []

    with Steps(Gone()).step("Stop everything"):
        done.append("stopped")

    assert done == ["stopped"]
