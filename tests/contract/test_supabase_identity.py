"""The adapter against real GoTrue-compatible servers, and against their failures."""

from collections.abc import AsyncIterator

import httpx
import jwt
import pytest

from chat_platform.adapters.identity.supabase import SupabaseIdentity
from chat_platform.adapters.identity.supabase_tokens import SupabaseTokens
from chat_platform.errors import (
    Conflict,
    Invalid,
    NotAllowed,
    NotSignedIn,
    PlatformError,
    RateLimited,
    Unavailable,
)
from chat_platform.settings import Settings
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import new_id
from tests.contract.supabase_rig import Rig, supabase_rig

__all__ = ["supabase_rig"]

pytestmark = [pytest.mark.rig, pytest.mark.timeout(400)]

PASSWORD = "correct horse battery"
NEW = "another battery staple"


@pytest.fixture
def email() -> str:
    return f"{new_id()}@example.com"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


@pytest.fixture
def identity(supabase_rig: Rig, http: httpx.AsyncClient) -> SupabaseIdentity:
    """On the server that signs people up at once."""
    return SupabaseIdentity(supabase_rig.settings(supabase_rig.open_url), http)


@pytest.fixture
def confirming(supabase_rig: Rig, http: httpx.AsyncClient) -> SupabaseIdentity:
    """On the server that confirms addresses first."""
    return SupabaseIdentity(supabase_rig.settings(supabase_rig.confirming_url), http)


async def test_who_registers_can_sign_in(identity: SupabaseIdentity, email: str):
    registered = await identity.register(email, PASSWORD, name="Alice")

    assert registered is not None
    assert (registered.email, registered.name) == (email, "Alice")
    assert await identity.check_password(email, PASSWORD) == registered


async def test_an_address_registers_once(identity: SupabaseIdentity, email: str):
    await identity.register(email, PASSWORD, name="")

    with pytest.raises(Conflict) as refused:
        await identity.register(email, NEW, name="")

    assert refused.value.code == "email_taken"


async def test_wrong_passwords_and_unknown_addresses_are_told_alike(
    identity: SupabaseIdentity, email: str
):
    await identity.register(email, PASSWORD, name="")
    told = []

    for address, password in ((email, NEW), (f"un{email}", PASSWORD)):
        with pytest.raises(NotSignedIn) as refused:
            await identity.check_password(address, password)
        told.append((refused.value.code, refused.value.message))

    assert told[0] == told[1]
    assert told[0][0] == "invalid_credentials"


async def test_a_weak_password_is_refused(identity: SupabaseIdentity, email: str):
    with pytest.raises(Invalid) as refused:
        await identity.register(email, "short", name="")

    assert refused.value.code == "weak_password"


async def test_an_address_that_must_be_confirmed_registers_without_signing_in(
    confirming: SupabaseIdentity, email: str
):
    assert await confirming.register(email, PASSWORD, name="") is None

    with pytest.raises(NotAllowed) as refused:
        await confirming.check_password(email, PASSWORD)
    assert refused.value.code == "email_not_confirmed"


async def test_the_code_from_the_mail_confirms_the_address(
    confirming: SupabaseIdentity, supabase_rig: Rig, email: str
):
    await confirming.register(email, PASSWORD, name="Alice")
    code = await supabase_rig.mailed_code(supabase_rig.confirming_url, email)

    confirmed = await confirming.confirm(email, code)

    assert await confirming.check_password(email, PASSWORD) == confirmed


async def test_a_known_address_registers_like_an_unknown_one(
    confirming: SupabaseIdentity, supabase_rig: Rig, email: str
):
    await confirming.register(email, PASSWORD, name="")
    code = await supabase_rig.mailed_code(supabase_rig.confirming_url, email)
    await confirming.confirm(email, code)

    assert await confirming.register(email, NEW, name="") is None

    with pytest.raises(NotSignedIn):
        await confirming.check_password(email, NEW)


async def test_a_wrong_code_confirms_nothing(confirming: SupabaseIdentity, email: str):
    await confirming.register(email, PASSWORD, name="")

    with pytest.raises(NotSignedIn) as refused:
        await confirming.confirm(email, "000000")

    assert refused.value.code == "invalid_code"


async def test_a_forgotten_password_is_replaced_by_code(
    identity: SupabaseIdentity, supabase_rig: Rig, email: str
):
    await identity.register(email, PASSWORD, name="")
    await identity.send_reset(email)
    code = await supabase_rig.mailed_code(supabase_rig.open_url, email)

    reset = await identity.reset_password(email, code, NEW)

    assert await identity.check_password(email, NEW) == reset
    with pytest.raises(NotSignedIn):
        await identity.check_password(email, PASSWORD)


async def test_a_code_works_once(identity: SupabaseIdentity, supabase_rig: Rig, email: str):
    await identity.register(email, PASSWORD, name="")
    await identity.send_reset(email)
    code = await supabase_rig.mailed_code(supabase_rig.open_url, email)
    await identity.reset_password(email, code, NEW)

    with pytest.raises(NotSignedIn) as refused:
        await identity.reset_password(email, code, PASSWORD)

    assert refused.value.code == "invalid_code"


async def test_unknown_addresses_are_reset_in_silence(identity: SupabaseIdentity, email: str):
    await identity.send_reset(email)


async def test_a_password_is_changed_with_the_old_one_only(identity: SupabaseIdentity, email: str):
    registered = await identity.register(email, PASSWORD, name="")
    assert registered is not None

    with pytest.raises(NotSignedIn):
        await identity.change_password(registered.subject, current=NEW, new=NEW)
    await identity.change_password(registered.subject, current=PASSWORD, new=NEW)

    assert await identity.check_password(email, NEW) == registered


async def test_a_deleted_person_is_gone_and_deleting_again_is_done(
    identity: SupabaseIdentity, email: str
):
    registered = await identity.register(email, PASSWORD, name="")
    assert registered is not None

    await identity.delete(registered.subject)
    await identity.delete(registered.subject)

    with pytest.raises(NotSignedIn):
        await identity.check_password(email, PASSWORD)


async def test_nobody_inherits_the_session_of_who_came_before(
    identity: SupabaseIdentity, email: str
):
    alice = await identity.register(email, PASSWORD, name="Alice")
    bob = await identity.register(f"bob-{email}", NEW, name="Bob")
    assert alice is not None
    assert bob is not None

    # An administrative call right after a person's sign-in: a shared client would act as Bob.
    await identity.check_password(bob.email, NEW)
    await identity.delete(alice.subject)

    assert await identity.check_password(bob.email, NEW) == bob


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 500}, Unavailable),
        ({"status": 503}, Unavailable),
        ({"status": 401, "code": None}, Unavailable),
        ({"status": 403, "code": "no_authorization"}, Unavailable),
        ({"status": 429, "code": "over_request_rate_limit"}, RateLimited),
        ({"status": 400, "code": "user_banned"}, NotAllowed),
    ],
)
async def test_a_failing_supabase_is_never_a_wrong_password(
    identity: SupabaseIdentity,
    supabase_rig: Rig,
    email: str,
    fault: dict,
    error: type[PlatformError],
):
    await identity.register(email, PASSWORD, name="")
    await supabase_rig.fail_next(supabase_rig.open_url, "/token", **fault)

    with pytest.raises(error):
        await identity.check_password(email, PASSWORD)


async def test_a_slow_supabase_is_an_outage(supabase_rig: Rig, email: str):
    async with httpx.AsyncClient(timeout=0.3) as impatient:
        identity = SupabaseIdentity(supabase_rig.settings(supabase_rig.open_url), impatient)
        await supabase_rig.fail_next(supabase_rig.open_url, "/token", delay_ms=1500)

        with pytest.raises(Unavailable):
            await identity.check_password(email, PASSWORD)


async def test_an_unreachable_supabase_is_an_outage(
    supabase_rig: Rig, http: httpx.AsyncClient, email: str
):
    identity = SupabaseIdentity(supabase_rig.settings("http://127.0.0.1:9"), http)

    with pytest.raises(Unavailable):
        await identity.check_password(email, PASSWORD)


async def test_a_wrong_key_of_ours_is_not_the_persons_fault(
    supabase_rig: Rig, http: httpx.AsyncClient, identity: SupabaseIdentity, email: str
):
    await identity.register(email, PASSWORD, name="")
    settings = supabase_rig.settings(supabase_rig.open_url)
    wrong = settings.model_copy(update={"supabase_anon_key": settings.secret_key})

    with pytest.raises(Unavailable):
        await SupabaseIdentity(wrong, http).check_password(email, PASSWORD)


async def test_supabases_own_tokens_are_verified_here(
    supabase_rig: Rig, http: httpx.AsyncClient, identity: SupabaseIdentity, email: str
):
    registered = await identity.register(email, PASSWORD, name="")
    token = await own_token(supabase_rig, http, email)

    known = await SupabaseTokens(supabase_rig.settings(supabase_rig.open_url), http).identity_of(
        token
    )

    assert registered is not None
    assert (known.subject, known.email) == (registered.subject, email)


async def test_a_deleted_persons_own_token_is_known_to_be_void(
    supabase_rig: Rig, http: httpx.AsyncClient, identity: SupabaseIdentity, email: str
):
    registered = await identity.register(email, PASSWORD, name="")
    token = await own_token(supabase_rig, http, email)
    tokens = SupabaseTokens(supabase_rig.settings(supabase_rig.open_url), http)
    await tokens.ensure_current(token)
    assert registered is not None

    await identity.delete(registered.subject)

    with pytest.raises(NotSignedIn):
        await tokens.ensure_current(token)


async def own_token(rig: Rig, http: httpx.AsyncClient, email: str) -> str:
    answer = await http.post(
        f"{rig.open_url}/auth/v1/token?grant_type=password",
        json={"email": email, "password": PASSWORD},
        headers={"apikey": rig.public_key},
    )
    return answer.json()["access_token"]


def forged(settings: Settings, **change: object) -> str:
    claims = {
        "sub": new_id(),
        "aud": "authenticated",
        "role": "authenticated",
        "email": "alice@example.com",
        "exp": now_ms() // 1000 + 600,
    }
    key = settings.supabase_jwt_secret.get_secret_value()
    return jwt.encode(claims | change, key, algorithm="HS256")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"exp": 1}, "token_expired"),
        ({"aud": "other"}, "invalid_token"),
        ({"iss": "https://another.supabase.co/auth/v1"}, "invalid_token"),
        ({"role": "anon"}, "invalid_token"),
        ({"role": "service_role"}, "invalid_token"),
        ({"is_anonymous": True}, "invalid_token"),
        ({"email": ""}, "invalid_token"),
    ],
)
async def test_tokens_that_are_no_persons_are_refused(
    supabase_rig: Rig, http: httpx.AsyncClient, change: dict[str, object], code: str
):
    settings = supabase_rig.settings(supabase_rig.open_url)

    with pytest.raises(NotSignedIn) as refused:
        await SupabaseTokens(settings, http).identity_of(forged(settings, **change))

    assert refused.value.code == code


async def test_without_a_secret_hmac_tokens_are_refused(supabase_rig: Rig, http: httpx.AsyncClient):
    settings = supabase_rig.settings(supabase_rig.open_url)
    keys_only = settings.model_copy(update={"supabase_jwt_secret": type(settings.secret_key)("")})

    with pytest.raises(NotSignedIn):
        await SupabaseTokens(keys_only, http).identity_of(forged(settings))
