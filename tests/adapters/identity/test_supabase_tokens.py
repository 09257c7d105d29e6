"""Supabase's own access tokens, verified with the keys that its project publishes."""

import asyncio
import base64
import hmac
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr
from sqlmodel import select

from chat_platform.adapters.identity.supabase_tokens import SupabaseTokens
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.errors import NotSignedIn, PlatformError, Unavailable
from chat_platform.models import Account
from chat_platform.settings import Settings
from tests.adapters.identity.jwks_server import Algorithm, Project, make_key, serving
from tests.fakes import FakeIdentity
from tests.people import Person

SUBJECT = "5f2b5a8e-1111-4222-8333-444455556666"


@pytest.fixture
def project() -> Iterator[Project]:
    with serving(Project(keys=[make_key("ES256")])) as project:
        yield project


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as http:
        yield http


def settings_of(project: Project) -> Settings:
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        secret_key=SecretStr("s" * 40),
        supabase_url=project.url,
        supabase_anon_key=SecretStr("sb_publishable_0123456789"),
        supabase_service_key=SecretStr("sb_secret_0123456789"),
    )


@pytest.fixture
def tokens(project: Project, http: httpx.AsyncClient) -> SupabaseTokens:
    return SupabaseTokens(settings_of(project), http)


@pytest.fixture
def eager(project: Project, http: httpx.AsyncClient) -> SupabaseTokens:
    """Looks for unknown keys, and after failures, at once."""
    return SupabaseTokens(settings_of(project), http, refetch_seconds=0, retry_seconds=0)


async def refused(tokens: SupabaseTokens, token: str) -> PlatformError:
    with pytest.raises(PlatformError) as error:
        await tokens.identity_of(token)
    return error.value


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
async def test_a_token_signed_with_a_published_key_is_its_persons(
    project: Project, tokens: SupabaseTokens, algorithm: Algorithm
):
    project.keys = [make_key(algorithm)]

    identity = await tokens.identity_of(project.token(project.keys[0]))

    assert (identity.subject, identity.email) == (SUBJECT, "alice@example.com")


async def test_the_keys_are_fetched_once(project: Project, tokens: SupabaseTokens):
    for _ in range(5):
        await tokens.identity_of(project.token(project.keys[0]))

    assert project.asked == 1


async def test_a_new_key_is_learned_when_its_first_token_arrives(
    project: Project, eager: SupabaseTokens
):
    old, new = project.keys[0], make_key("RS256", "second")
    await eager.identity_of(project.token(old))

    project.keys = [new, old]

    assert (await eager.identity_of(project.token(new))).subject == SUBJECT
    assert (await eager.identity_of(project.token(old))).subject == SUBJECT


async def test_a_withdrawn_key_is_forgotten_with_the_next_fetch(
    project: Project, eager: SupabaseTokens
):
    old, new = project.keys[0], make_key("ES256", "second")
    await eager.identity_of(project.token(old))

    project.keys = [new]
    await eager.identity_of(project.token(new))

    assert (await refused(eager, project.token(old))).code == "invalid_token"


async def test_unknown_keys_do_not_make_us_ask_again_and_again(
    project: Project, tokens: SupabaseTokens
):
    stranger = make_key("ES256", "nobody's")
    await tokens.identity_of(project.token(project.keys[0]))

    told = [await refused(tokens, project.token(stranger)) for _ in range(5)]

    assert {error.code for error in told} == {"invalid_token"}
    assert project.asked == 1


async def test_a_key_of_ones_own_under_a_known_name_signs_nothing(
    project: Project, tokens: SupabaseTokens
):
    forger = make_key("ES256", project.keys[0].kid)

    assert (await refused(tokens, project.token(forger))).code == "invalid_token"


async def test_another_algorithm_than_the_keys_own_is_refused(
    project: Project, tokens: SupabaseTokens
):
    other = make_key("RS256", project.keys[0].kid)

    assert (await refused(tokens, project.token(other))).code == "invalid_token"


@pytest.mark.parametrize("secret", ["", "a-secret-of-the-project-0123456789"])
async def test_the_public_key_is_no_shared_secret(
    project: Project, http: httpx.AsyncClient, secret: str
):
    settings = settings_of(project).model_copy(update={"supabase_jwt_secret": SecretStr(secret)})
    public = project.keys[0].private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = jwt.decode(project.token(project.keys[0]), options={"verify_signature": False})
    # PyJWT itself refuses to sign with a public key; an attacker's tool does not.
    text = jwt.encode(claims, "x" * 40, algorithm="HS256").rpartition(".")[0]
    mac = base64.urlsafe_b64encode(hmac.digest(pem, text.encode(), "sha256")).rstrip(b"=")
    forged = f"{text}.{mac.decode()}"

    told = await refused(SupabaseTokens(settings, http), forged)

    assert told.code == "invalid_token"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"exp": 1}, "token_expired"),
        ({"aud": "other"}, "invalid_token"),
        ({"iss": "https://another.supabase.co/auth/v1"}, "invalid_token"),
        ({"role": "service_role"}, "invalid_token"),
        ({"role": "anon"}, "invalid_token"),
        ({"is_anonymous": True}, "invalid_token"),
        ({"email": ""}, "invalid_token"),
        ({"sub": 7}, "invalid_token"),
    ],
)
async def test_tokens_that_are_no_persons_are_refused(
    project: Project, tokens: SupabaseTokens, change: dict[str, Any], code: str
):
    assert (await refused(tokens, project.token(project.keys[0], **change))).code == code


OUTAGES = {
    "500": {"status": 500},
    "404": {"status": 404},
    "no JSON": {"body": b"<html>"},
    "no object": {"body": b"[]"},
    "no text": {"body": b"\xff\xfe\xff"},
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
async def test_without_the_keys_it_is_an_outage_and_no_bad_token(
    project: Project, eager: SupabaseTokens, outage: dict[str, object]
):
    token = project.token(project.keys[0])
    project.__dict__.update(outage)

    told = await refused(eager, token)
    project.__dict__.update(status=200, body=None)

    assert (type(told), told.code) == (Unavailable, "identity_unavailable")
    assert (await eager.identity_of(token)).subject == SUBJECT


async def test_an_unreachable_project_is_an_outage(http: httpx.AsyncClient):
    with serving(Project(keys=[make_key("ES256")])) as gone:
        token = gone.token(gone.keys[0])

    assert isinstance(await refused(SupabaseTokens(settings_of(gone), http), token), Unavailable)


async def test_known_keys_stay_good_while_the_project_is_down(
    project: Project, eager: SupabaseTokens
):
    await eager.identity_of(project.token(project.keys[0]))
    project.status = 503

    unknown = await refused(eager, project.token(make_key("ES256", "second")))

    assert isinstance(unknown, Unavailable)
    assert (await eager.identity_of(project.token(project.keys[0]))).subject == SUBJECT


async def test_during_an_outage_a_crowd_of_tokens_asks_once(
    project: Project, tokens: SupabaseTokens
):
    project.status = 503
    token = project.token(project.keys[0])

    started = time.monotonic()
    told = await asyncio.gather(*(refused(tokens, token) for _ in range(50)))

    assert {type(error) for error in told} == {Unavailable}
    assert project.asked == 1
    assert time.monotonic() - started < 5


async def test_a_project_that_publishes_no_keys_has_no_such_tokens(
    project: Project, tokens: SupabaseTokens
):
    token = project.token(project.keys[0])
    project.keys = []

    told = [await refused(tokens, token) for _ in range(3)]

    assert {(type(error), error.code) for error in told} == {(NotSignedIn, "invalid_token")}
    assert project.asked == 1


class TestAsBearer:
    """The same tokens at our own doors."""

    @pytest.fixture
    async def ctx(self, ctx: AppContext, tokens: SupabaseTokens) -> AppContext:
        return replace(ctx, identity=FakeIdentity(name="supabase"), foreign_tokens=tokens)

    async def ask(self, client: httpx.AsyncClient, token: str) -> httpx.Response:
        return await client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})

    async def test_the_first_token_makes_the_account_and_the_next_finds_it(
        self, project: Project, client: httpx.AsyncClient
    ):
        first = await self.ask(client, project.token(project.keys[0]))
        project.has_person = False
        second = await self.ask(client, project.token(project.keys[0]))

        assert (first.status_code, first.json()["email"]) == (200, "alice@example.com")
        assert second.json() == first.json()

    async def test_a_deleted_persons_token_does_not_bring_them_back(
        self, ctx: AppContext, project: Project, client: httpx.AsyncClient
    ):
        project.has_person = False

        answer = await self.ask(client, project.token(project.keys[0]))

        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
        async with reading(ctx.engine) as session:
            assert (await session.exec(select(Account))).all() == []

    async def test_an_outage_is_503(self, project: Project, client: httpx.AsyncClient):
        project.status = 503

        answer = await self.ask(client, project.token(project.keys[0]))

        assert (answer.status_code, answer.json()["code"]) == (503, "identity_unavailable")

    async def test_the_address_of_another_identity_is_not_handed_over(
        self, project: Project, client: httpx.AsyncClient, alice: Person
    ):
        answer = await self.ask(client, project.token(project.keys[0]))

        assert (answer.status_code, answer.json()["code"]) == (403, "email_taken")
