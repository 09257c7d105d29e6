"""A fresh SQLite database for every test that needs one."""

import asyncio
import shutil
from itertools import count
from pathlib import Path

import pytest

from chat_platform.database.engine import migrate
from tests.people import Person
from tests.registered import Templates

_numbers = count(1)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One migrated SQLite file, from which every test's own is copied."""
    file = tmp_path_factory.mktemp("template") / "platform.db"
    asyncio.run(migrate(_url_of(str(file))))
    return file


@pytest.fixture(scope="session")
def sqlite_templates(migrated_sqlite: Path) -> Templates:
    def copy(template: str | None) -> str:
        name = migrated_sqlite.with_name(f"{next(_numbers)}.db")
        return str(shutil.copy(template or migrated_sqlite, name))

    return Templates(copy, _url_of, migrated_sqlite.parent)


@pytest.fixture
def sqlite_url(
    sqlite_templates: Templates,
    request: pytest.FixtureRequest,
    registered: dict[str, Person],
    tmp_path: Path,
) -> str:
    """The URL of a fresh, migrated database, which knows the test's people."""
    template = sqlite_templates.template_for(request)
    registered.update(template.own_people())
    return _url_of(str(shutil.copy(template.name, tmp_path / "platform.db")))


def _url_of(file: str) -> str:
    return f"sqlite+aiosqlite:///{file}"
