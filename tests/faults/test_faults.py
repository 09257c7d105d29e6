"""Seeds played in every full run: calm ones, troubled ones, and all that once failed."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.faults.databases import DatabaseKind, Databases, open_databases
from tests.faults.runs import be_quiet, run_seed

SEEDS = (0, 5, 1266, 4136, 7423, 881167912)
"""Multiples of five are calm: at most processes' clocks go wrong in them. 1266 and 4136 have every
trouble between them. In 7423 a run hangs and the notification of its stop is lost: it once failed.
In 881167912 a process shuts down that has lost its turn: it once stopped the run that the next
owner was following, whose reply was then called complete.
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Every fault is logged with its traceback, and rendering these takes longer than the run."""
    configured = structlog.get_config()
    be_quiet()
    yield
    structlog.configure(**configured)
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def databases(request: pytest.FixtureRequest) -> Iterator[Databases]:
    kind: DatabaseKind = request.param
    with open_databases(kind) as databases:
        yield databases


@pytest.mark.parametrize("seed", SEEDS)
def test_no_law_is_broken(databases: Databases, seed: int):
    assert run_seed(seed, databases).broken == []
