"""The people of the tests: alice, bob (another account) and root (an administrator)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import update
from sqlmodel import col

from chat_platform.accounts import sign_in, sign_in_rows
from chat_platform.accounts.profiles import get_account
from chat_platform.accounts.sign_in_rows import Visit
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.models import Account
from chat_platform.values.cookies import PLAIN_SIGN_IN_COOKIE
from chat_platform.values.ids import AccountId

PASSWORD = "correct horse battery"
PEOPLE = {"alice": "person", "bob": "person", "root": "admin"}
"""The role of each of them, by the name of their fixture."""


@dataclass(frozen=True)
class Person:
    """A person with an account, signed in once over REST and once in a browser."""

    account: Account
    access_token: str
    refresh_token: str
    cookie: str
    """The Cookie header of their browser."""

    @property
    def id(self) -> AccountId:
        return self.account.id

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}

    @property
    def browser_headers(self) -> dict[str, str]:
        return {"Cookie": self.cookie, "Sec-Fetch-Site": "same-origin"}


async def new_person(ctx: AppContext, name: str, *, role: str = "person") -> Person:
    """Register somebody and sign them in through both doors."""
    email = f"{name.lower()}@example.com"
    by_rest = await sign_in.register(
        ctx, email=email, password=PASSWORD, name=name, visit=Visit("api", "tests", "192.0.2.1")
    )
    assert by_rest is not None
    by_browser = await sign_in_rows.open_sign_in(
        ctx, by_rest.account, Visit("browser", "tests", "192.0.2.1")
    )
    return Person(
        account=by_rest.account if role == "person" else await _promote(ctx, by_rest.account, role),
        access_token=sign_in.access_token(ctx, by_rest),
        refresh_token=by_rest.secret,
        cookie=f"{PLAIN_SIGN_IN_COOKIE}={by_browser.secret}",
    )


async def _promote(ctx: AppContext, account: Account, role: str) -> Account:
    async with transaction(ctx.engine) as session:
        await session.exec(update(Account).where(col(Account.id) == account.id).values(role=role))
    return await get_account(ctx, account.id)


@pytest.fixture
def make_person(ctx: AppContext) -> Callable[[str], Awaitable[Person]]:
    async def make(name: str) -> Person:
        return await new_person(ctx, name)

    return make


@pytest.fixture
def registered() -> dict[str, Person]:
    """The test's people whom its database knows from the start; its fixture adds them."""
    return {}


@pytest.fixture
async def alice(ctx: AppContext, registered: dict[str, Person]) -> Person:
    return registered.get("alice") or await new_person(ctx, "Alice")


@pytest.fixture
async def bob(ctx: AppContext, registered: dict[str, Person]) -> Person:
    return registered.get("bob") or await new_person(ctx, "Bob")


@pytest.fixture
async def root(ctx: AppContext, registered: dict[str, Person]) -> Person:
    return registered.get("root") or await new_person(ctx, "Root", role="admin")
