"""People on the running platform."""

import time
from itertools import count

import pytest

from tests.e2e.platform import Person, Platform

# One that was not started for this run has seen earlier ones.
_numbers = count(int(time.time()) % 10_000_000 * 100)


@pytest.fixture
def alice(platform: Platform) -> Person:
    return platform.person(f"Alice{next(_numbers)}")


@pytest.fixture
def bob(platform: Platform) -> Person:
    return platform.person(f"Bob{next(_numbers)}")
