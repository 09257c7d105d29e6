"""A backup made while people talk becomes a platform on which they talk on."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.e2e.platform import Person, Platform
from tests.open_folder import new_open_folder

pytestmark = [
    pytest.mark.chain,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.embedded("`chat-platform backup` saves embedded databases"),
]


@pytest.fixture
def elsewhere() -> Iterator[Platform]:
    """A platform that is not started yet, in another folder."""
    with new_open_folder() as folder:
        other = Platform(folder / "data")
        try:
            yield other
        finally:
            other.stop()


def test_a_restored_platform_knows_its_people_and_what_they_said_and_spent(
    platform: Platform, alice: Person, elsewhere: Platform
):
    alice.say("Remember that my locker code is 4471.")
    before, spent = alice.get("/chat/history")["messages"], alice.get("/user/usage")["totals"]
    file = elsewhere.data_dir.parent / "saved.tar.gz"
    alice.begin("Hello!")
    platform.run("backup", str(file))
    elsewhere.data_dir.mkdir()

    elsewhere.run("restore", str(file))
    elsewhere.start()
    again = elsewhere.person(alice.name)

    assert again.id == alice.id
    assert again.get("/chat/history")["messages"][: len(before)] == before
    assert Decimal(again.get("/user/usage")["totals"]["cost_usd"]) >= Decimal(spent["cost_usd"])
    answer = again.say("What is my locker code?")
    assert "4471" in answer["message"]["content"]
    assert Decimal(answer["usage"]["cost_usd"]) > 0
