"""Seeds for tests of laws, which draw what happens."""

from typing import Any

import pytest


def seeds(number: int, *, fast: int = 1) -> list[Any]:
    """Return so many seeds; all but the first few are for `make test-full`."""
    return [
        *range(fast),
        *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(fast, number)),
    ]
