"""Registers a test's people before it begins, once for many tests.

Registering somebody takes longer than most tests do. So a test's database is a copy of a template,
in which just those people are registered whose fixtures the test names.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

import pytest

from tests.contexts import new_settings, open_test_context
from tests.fakes import FakeGateway, FakeMailer, FakeMemory, FakeRuntime
from tests.people import PEOPLE, Person, new_person

KEPT_SECONDS = 60
"""Sign-ins in a template are at most so old: a test's people have just signed in."""


@dataclass(frozen=True)
class Template:
    name: str
    people: Mapping[str, Person]
    made_at: float

    def own_people(self) -> dict[str, Person]:
        """Return the people with account objects that a test may change."""
        return {
            name: replace(person, account=person.account.model_copy())
            for name, person in self.people.items()
        }


@dataclass
class Templates:
    """The templates of one database server, by who is registered in them, in this order."""

    copy: Callable[[str | None], str]
    """Copies the template of this name (None: the one with nobody), and returns the copy's name."""
    url_of: Callable[[str], str]
    folder: Path
    kept: dict[tuple[str, ...], Template] = field(default_factory=dict)

    def template_for(self, test: pytest.FixtureRequest) -> Template:
        return self._with(tuple(name for name in test.fixturenames if name in PEOPLE))

    def _with(self, names: tuple[str, ...]) -> Template:
        kept = self.kept.get(names)
        if kept is None or (names and monotonic() - kept.made_at > KEPT_SECONDS):
            kept = self.kept[names] = self._new(names)
        return kept

    def _new(self, names: tuple[str, ...]) -> Template:
        name = self.copy(None)
        people = asyncio.run(self._register(name, names)) if names else {}
        return Template(name, people, monotonic())

    async def _register(self, name: str, names: tuple[str, ...]) -> dict[str, Person]:
        settings = new_settings(self.folder, self.url_of(name))
        fakes = FakeRuntime(), FakeMemory(), FakeGateway(), FakeMailer()
        async with open_test_context(settings, *fakes) as ctx:
            return {
                person: await new_person(ctx, person.title(), role=PEOPLE[person])
                for person in names
            }
