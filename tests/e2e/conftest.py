"""People on the running platform."""

from itertools import count

import pytest

from tests.e2e.platform import Person, Platform

_numbers = count(1)


@pytest.fixture
def alice(platform: Platform) -> Person:
    return platform.person(f"Alice{next(_numbers)}")


@pytest.fixture
def bob(platform: Platform) -> Person:
    return platform.person(f"Bob{next(_numbers)}")
