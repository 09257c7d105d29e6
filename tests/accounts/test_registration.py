"""Who may have an account: the same rule at every door, exact under concurrent requests."""

import ast
import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from pydantic import SecretStr
from sqlmodel import select

import chat_platform
from chat_platform.accounts import admin, invitations, sign_in
from chat_platform.accounts.profiles import account_for
from chat_platform.accounts.registration import Papers
from chat_platform.accounts.sign_in_rows import Visit
from chat_platform.billing.budgets import budget_of
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import Conflict, PlatformError
from chat_platform.models import Account, AuditEntry
from chat_platform.models.registration import Invitation
from chat_platform.ports import Identity
from chat_platform.settings import Settings
from tests.api.test_confirmation import ConfirmingIdentity
from tests.fakes import FakeIdentity
from tests.people import Person
from tests.registering import PASSWORD, invitation, registered, under, visiting, with_settings

CENT = 10_000_000
NEW = "new@example.com"


async def accounts(ctx: AppContext) -> list[Account]:
    async with reading(ctx.engine) as session:
        return list((await session.exec(select(Account))).all())


async def refusal(work: Awaitable[Any]) -> PlatformError:
    with pytest.raises(PlatformError) as error:
        await work
    return error.value


# Every door that creates an account, used by somebody with the address NEW. Each returns the code
# of its refusal, or nothing.


async def by_rest(ctx: AppContext, **papers: str) -> str:
    async with visiting(ctx) as client:
        body = {"email": NEW, "password": PASSWORD, **papers}
        answer = await client.post("/api/v1/auth/register", json=body)
    return "" if answer.is_success else answer.json()["code"]


async def by_form(ctx: AppContext, **papers: str) -> str:
    async with visiting(ctx) as client:
        form = {"email": NEW, "password": PASSWORD, **papers}
        answer = await client.post("/api/v1/session/register", data=form)
    return httpx.URL(answer.headers["location"]).params.get("error", "")


def confirming(ctx: AppContext) -> AppContext:
    identity = ConfirmingIdentity()
    return replace(ctx, identity=identity, confirmation=identity)


async def by_confirmation(ctx: AppContext, **papers: str) -> str:
    """Register with a provider that confirms first, then come back with the code."""
    ctx = confirming(ctx)
    if code := await by_rest(ctx, **papers):
        return code
    async with visiting(ctx) as client:
        body = {"email": NEW, "code": "code"}
        answer = await client.post("/api/v1/auth/confirm", json=body)
    return "" if answer.is_success else answer.json()["code"]


async def by_confirmation_alone(ctx: AppContext, **papers: str) -> str:
    """Come with a code of the provider, without having registered here."""
    async with visiting(confirming(ctx)) as client:
        answer = await client.post(
            "/api/v1/session/confirm", data={"email": NEW, "code": "code", **papers}
        )
    return httpx.URL(answer.headers["location"]).params.get("error", "")


async def by_first_login(ctx: AppContext, **papers: str) -> str:
    """Sign in with a password that the provider has known since before."""
    provider = FakeIdentity(name="supabase", passwords={NEW: PASSWORD})
    async with visiting(replace(ctx, identity=provider)) as client:
        body = {"email": NEW, "password": PASSWORD}
        answer = await client.post("/api/v1/auth/login", json=body)
    return "" if answer.is_success else answer.json()["code"]


class ProvidersTokens:
    """Takes every token for NEW's, signed by the provider."""

    async def identity_of(self, token: str) -> Identity:
        return Identity(NEW, NEW, "New")

    async def ensure_current(self, token: str) -> None:
        pass


async def by_foreign_token(ctx: AppContext, **papers: str) -> str:
    """Call with an access token of the provider's own, never seen here."""
    ctx = replace(ctx, identity=FakeIdentity(name="supabase"), foreign_tokens=ProvidersTokens())
    async with visiting(ctx) as client:
        token = jwt.encode({"iss": "the-provider"}, "k" * 32)
        headers = {"Authorization": f"Bearer {token}"}
        answer = await client.get("/api/v1/auth/me", headers=headers)
    return "" if answer.is_success else answer.json()["code"]


Door = Callable[..., Awaitable[str]]
WITH_PAPERS: list[Door] = [by_rest, by_form, by_confirmation]
DOORS: list[Door] = [*WITH_PAPERS, by_confirmation_alone, by_first_login, by_foreign_token]


def test_accounts_are_made_in_one_place():
    """Every door that is added must follow the rule."""
    root = Path(chat_platform.__file__).parent
    makers = [
        f"{file.stem}.{function.name}"
        for file in root.rglob("*.py")
        for function in ast.walk(ast.parse(file.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Account"
    ]
    assert makers == ["profiles._make_account"]


def test_what_is_not_said_is_open_in_development_and_for_the_first_elsewhere(settings: Settings):
    policies = {
        environment: settings.model_copy(
            update={"environment": environment, "registration": None}
        ).registration_policy
        for environment in ("development", "test", "production")
    }

    assert policies == {"development": "open", "test": "first", "production": "first"}


@pytest.mark.parametrize("door", DOORS)
async def test_open_lets_everybody_in(ctx: AppContext, alice: Person, door: Door):
    assert await door(under(ctx, "open")) == ""


@pytest.mark.parametrize("door", DOORS)
async def test_closed_lets_nobody_in(ctx: AppContext, door: Door):
    assert await door(under(ctx, "closed")) == "registration_closed"
    assert await accounts(ctx) == []


@pytest.mark.parametrize("door", DOORS)
async def test_invite_lets_nobody_in_uninvited(ctx: AppContext, door: Door):
    assert await door(under(ctx, "invite")) == "invitation_needed"
    assert await accounts(ctx) == []


@pytest.mark.parametrize("door", DOORS)
async def test_unset_lets_the_first_in(ctx: AppContext, door: Door):
    assert await door(under(ctx, None)) == ""


@pytest.mark.parametrize("door", DOORS)
async def test_unset_lets_no_second_in(ctx: AppContext, alice: Person, door: Door):
    assert await door(under(ctx, None)) == "invitation_needed"
    assert [account.id for account in await accounts(ctx)] == [alice.id]


@pytest.mark.parametrize("door", WITH_PAPERS)
@pytest.mark.parametrize("registration", ["invite", None])
async def test_an_invitation_opens_the_door(
    ctx: AppContext, alice: Person, door: Door, registration: str | None
):
    code = await invitation(ctx)

    assert await door(under(ctx, registration), invitation=code) == ""


@pytest.mark.parametrize("door", WITH_PAPERS)
async def test_an_invitation_does_not_open_what_is_closed(ctx: AppContext, door: Door):
    code = await invitation(ctx)

    assert await door(under(ctx, "closed"), invitation=code) == "registration_closed"


@pytest.mark.parametrize("door", [by_first_login, by_foreign_token])
async def test_an_invitation_waits_for_who_came_with_it(ctx: AppContext, door: Door):
    """With an external provider the person comes back by another door, without the code."""
    ctx = under(ctx, "invite")
    async with visiting(confirming(ctx)) as client:
        body = {"email": NEW, "password": PASSWORD, "invitation": await invitation(ctx)}
        assert (await client.post("/api/v1/auth/register", json=body)).status_code == 202

    assert await door(ctx) == ""


async def test_the_first_is_first_for_ever(ctx: AppContext, alice: Person):
    async with transaction(ctx.engine) as session:
        await session.delete(await session.get(Account, alice.id))

    error = await refusal(registered(under(ctx, None), NEW))

    assert error.code == "invitation_needed"


async def test_of_many_who_come_first_at_once_one_is_the_first(ctx: AppContext):
    ctx = under(ctx, None)

    outcomes = await asyncio.gather(
        *(registered(ctx, f"p{n}@example.com") for n in range(8)), return_exceptions=True
    )

    assert sorted(type(o).__name__ for o in outcomes) == ["Account"] + ["NotAllowed"] * 7
    assert len(await accounts(ctx)) == 1


async def test_an_invitation_is_good_once_however_many_come(ctx: AppContext):
    code = await invitation(ctx)
    papers = Papers(invitation=code)

    outcomes = await asyncio.gather(
        *(registered(under(ctx, "invite"), f"p{n}@example.com", papers) for n in range(8)),
        return_exceptions=True,
    )

    assert sorted(type(o).__name__ for o in outcomes) == ["Account"] + ["NotAllowed"] * 7


async def test_an_address_that_is_taken_uses_up_no_invitation(ctx: AppContext, alice: Person):
    ctx = under(ctx, "invite")
    papers = Papers(invitation=await invitation(ctx))

    with pytest.raises(Conflict):
        await registered(ctx, alice.account.email, papers)

    assert (await registered(ctx, NEW, papers)).email == NEW


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param({"expires_at_ms": 0}, id="expired"),
        pytest.param({"revoked_at_ms": 1}, id="revoked"),
        pytest.param({"used_at_ms": 1}, id="used"),
        pytest.param({"email": "other@example.com"}, id="for another address"),
    ],
)
async def test_an_invitation_that_is_not_good_opens_nothing(ctx: AppContext, spoil: dict):
    ctx = under(ctx, "invite")
    code = await invitation(ctx)
    async with transaction(ctx.engine) as session:
        row = (await session.exec(select(Invitation))).one()
        session.add(row.sqlmodel_update(spoil))

    error = await refusal(registered(ctx, NEW, Papers(invitation=code)))

    assert error.code == "invitation_needed"


async def test_the_code_may_be_typed_as_people_type(ctx: AppContext):
    code = (await invitation(ctx)).lower().replace("-", " ")

    made = await registered(under(ctx, "invite"), NEW, Papers(invitation=f"  {code} "))

    assert made.email == NEW


async def test_an_invitation_brings_its_budget(ctx: AppContext):
    code = await invitation(ctx, budget_nano_usd=7 * CENT)

    made = await registered(under(ctx, "invite"), NEW, Papers(invitation=code))

    assert (await budget_of(ctx, made.id)).limit_nano_usd == 7 * CENT


async def test_only_a_keyed_hash_of_the_code_is_kept(ctx: AppContext):
    code = await invitation(ctx)

    async with reading(ctx.engine) as session:
        stored = (await session.exec(select(Invitation))).one().model_dump_json()
    other = ctx.settings.model_copy(update={"secret_key": SecretStr("t" * 40)})
    assert code.replace("-", "") not in stored.replace("-", "")
    async with reading(ctx.engine) as session:
        assert await invitations.find(session, other, code=code, email=NEW) is None


async def test_an_invitation_stays_good_when_the_key_changes(ctx: AppContext):
    code = await invitation(ctx)
    changed = with_settings(
        under(ctx, "invite"),
        secret_key=SecretStr("t" * 40),
        secret_key_previous=ctx.settings.secret_key,
    )

    assert (await registered(changed, NEW, Papers(invitation=code))).email == NEW


async def test_the_audit_log_tells_who_invited_whom(ctx: AppContext, root: Person):
    made = await admin.make_invitation(ctx, root.account, budget_nano_usd=None, days=1, email=None)
    account = await registered(under(ctx, "invite"), NEW, Papers(invitation=made.code))

    async with reading(ctx.engine) as session:
        entries = (await session.exec(select(AuditEntry))).all()
    told = [(e.action, e.actor_id) for e in entries if e.subject_id == made.row.id]
    assert told == [("invitation.made", root.id), ("invitation.used", account.id)]
    assert made.code not in str([e.model_dump() for e in entries])


class TestLimits:
    """How many may register in an hour."""

    async def register_from(self, ctx: AppContext, n: int, address: str) -> str:
        visit = Visit("api", "tests", address)
        email = f"p{n}@example.com"
        try:
            await sign_in.register(ctx, email=email, password=PASSWORD, name="", visit=visit)
        except PlatformError as exc:
            return exc.code
        return ""

    async def test_one_address_registers_only_so_many(self, ctx: AppContext):
        ctx = with_settings(ctx, registrations_per_hour_from_address=2)

        codes = [await self.register_from(ctx, n, "192.0.2.1") for n in range(3)]
        elsewhere = await self.register_from(ctx, 4, "192.0.2.2")

        assert (codes, elsewhere) == (["", "", "too_many_attempts"], "")

    async def test_all_together_register_only_so_many(self, ctx: AppContext):
        ctx = with_settings(ctx, registrations_per_hour=2)

        codes = [await self.register_from(ctx, n, f"192.0.2.{n}") for n in range(3)]

        assert codes == ["", "", "too_many_attempts"]

    @pytest.mark.parametrize(
        ("environment", "limits"), [("production", (100, 10)), ("development", (5000, 200))]
    )
    def test_production_is_stricter(self, settings: Settings, environment: str, limits: tuple):
        chosen = settings.model_copy(update={"environment": environment})

        assert chosen.registration_limits == limits


class TestDomains:
    """REGISTRATION_DOMAINS."""

    @pytest.mark.parametrize("door", DOORS)
    async def test_other_domains_are_refused_at_every_door(self, ctx: AppContext, door: Door):
        ctx = with_settings(ctx, registration_domains="example.org, @company.com")

        assert await door(ctx) == "domain_not_allowed"

    async def test_subdomains_are_other_domains(self, ctx: AppContext):
        ctx = with_settings(ctx, registration_domains="company.com")

        error = await refusal(registered(ctx, "eve@evil.company.com"))

        assert error.code == "domain_not_allowed"

    async def test_an_allowed_domain_may_register_as_ever(self, ctx: AppContext):
        ctx = with_settings(ctx, registration_domains="Company.COM")

        assert (await registered(ctx, "ada@company.com")).email == "ada@company.com"

    async def test_nobody_is_invited_whom_the_domain_shuts_out(self, ctx: AppContext):
        ctx = with_settings(ctx, registration_domains="company.com")

        error = await refusal(invitation(ctx, email="eve@example.com"))

        assert error.code == "domain_not_allowed"


class TestOneMailboxIsOnePerson:
    async def test_another_spelling_of_a_known_mailbox_is_taken(self, ctx: AppContext):
        await registered(ctx, "Ada.Lovelace@gmail.com".lower())

        for spelling in ("adalovelace@gmail.com", "ada.lovelace+2@googlemail.com"):
            assert (await refusal(registered(ctx, spelling))).code == "email_taken"

    async def test_two_spellings_at_once_are_one_account(self, ctx: AppContext):
        outcomes = await asyncio.gather(
            *(registered(ctx, f"ada+{n}@example.com") for n in range(6)), return_exceptions=True
        )

        assert sorted(type(o).__name__ for o in outcomes) == ["Account"] + ["Conflict"] * 5

    async def test_in_development_one_person_may_be_many(self, ctx: AppContext):
        ctx = with_settings(ctx, environment="development")

        made = [await registered(ctx, f"ada+{n}@example.com") for n in range(3)]

        assert len({account.id for account in made}) == 3


async def test_what_a_stranger_meets_is_told(ctx: AppContext):
    async def told(registration: str | None) -> str:
        async with visiting(under(ctx, registration)) as client:
            answer = await client.get("/api/v1/auth/registration")
        return answer.json()["registration"]

    before = await told(None)
    await registered(ctx, NEW)
    after = [await told(registration) for registration in (None, "open", "invite", "closed")]

    assert (before, after) == ("open", ["invitation", "open", "invitation", "closed"])


async def test_a_deleted_person_leaves_no_address_on_their_invitation(ctx: AppContext):
    code = await invitation(ctx, email=NEW)
    made = await registered(under(ctx, "invite"), NEW, Papers(invitation=code))

    async with transaction(ctx.engine) as session:
        await invitations.forget_person(session, made.id)

    async with reading(ctx.engine) as session:
        row = (await session.exec(select(Invitation))).one()
    assert NEW not in row.model_dump_json()
    assert row.used_by == made.id


async def test_nobody_learns_of_addresses_where_they_may_not_register(
    ctx: AppContext, alice: Person
):
    async with visiting(under(ctx, "closed")) as client:
        answers = [
            await client.post("/api/v1/auth/register", json={"email": email, "password": PASSWORD})
            for email in (alice.account.email, NEW)
        ]

    assert [a.json()["code"] for a in answers] == ["registration_closed"] * 2


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (" Eve \n B. ", "Eve B."),
        ("x" * 200, "x" * 200),
        ("x" * 201, ""),
        ("Eve\u202e", ""),
        ("\u200b", ""),
    ],
)
async def test_a_providers_name_is_held_to_our_rule(ctx: AppContext, name: str, kept: str):
    account = await account_for(ctx, Identity("eve", "eve@example.com", name))

    assert account.name == kept
