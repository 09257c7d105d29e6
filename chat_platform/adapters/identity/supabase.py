"""Supabase Auth as the identity provider. Keeps no sessions and no clients."""

import httpx
from supabase import AsyncClient, AsyncClientOptions, acreate_client
from supabase_auth.errors import AuthApiError, AuthError
from supabase_auth.types import User

from chat_platform.accounts.refusals import email_taken, invalid_code, invalid_credentials
from chat_platform.adapters.identity.supabase_errors import translated
from chat_platform.errors import PlatformError
from chat_platform.ports import Identity
from chat_platform.settings import Settings

TIMEOUT_SECONDS = 10.0


class SupabaseIdentity:
    """An identity's subject is the Supabase user's id.

    Each call has its own client on a shared connection pool: a shared client would keep the last
    person's session for everyone. Each call also closes the session it opens at Supabase.
    """

    name = "supabase"
    sends_mail = True

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._url = settings.supabase_url
        self._public_key = settings.supabase_anon_key.get_secret_value()
        self._secret_key = settings.supabase_service_key.get_secret_value()
        self._http = http

    async def register(self, email: str, password: str, *, name: str) -> Identity | None:
        """Return None if Supabase confirms addresses first, for known addresses too."""
        client = await self._client(self._public_key)
        with translated():
            answer = await client.auth.sign_up(
                {"email": email, "password": password, "options": {"data": {"name": name}}}
            )
        if answer.session is None or answer.user is None:
            return None
        await _close_session(client)
        return _identity(answer.user)

    async def check_password(self, email: str, password: str) -> Identity:
        client = await self._client(self._public_key)
        user = await _sign_in(client, email, password)
        await _close_session(client)
        return _identity(user)

    async def change_password(self, subject: str, *, current: str, new: str) -> None:
        """Change it and end the person's sessions at Supabase."""
        admin = await self._client(self._secret_key)
        with translated():
            email = (await admin.auth.admin.get_user_by_id(subject)).user.email
        client = await self._client(self._public_key)
        await _sign_in(client, email or "", current)
        await _set_password(client, new)

    async def send_reset(self, email: str) -> None:
        client = await self._client(self._public_key)
        with translated():
            await client.auth.reset_password_for_email(email)

    async def reset_password(self, email: str, code: str, new: str) -> Identity:
        client = await self._client(self._public_key)
        with translated():
            answer = await client.auth.verify_otp(
                {"email": email, "token": code.strip(), "type": "recovery"}
            )
        if answer.user is None:
            raise invalid_code()
        await _set_password(client, new)
        return _identity(answer.user)

    async def delete(self, subject: str) -> None:
        admin = await self._client(self._secret_key)
        with translated():
            try:
                await admin.auth.admin.delete_user(subject)
            except AuthApiError as exc:
                if exc.code != "user_not_found":
                    raise

    async def resend(self, email: str) -> None:
        """Send the confirmation email again, if the address is waiting for one."""
        client = await self._client(self._public_key)
        with translated():
            await client.auth.resend({"type": "signup", "email": email})

    async def confirm(self, email: str, code: str) -> Identity:
        """Confirm the address with the code from the email; raises NotSignedIn `invalid_code`."""
        client = await self._client(self._public_key)
        with translated():
            answer = await client.auth.verify_otp(
                {"email": email, "token": code.strip(), "type": "signup"}
            )
        if answer.user is None:
            raise invalid_code()
        await _close_session(client)
        return _identity(answer.user)

    async def _client(self, key: str) -> AsyncClient:
        options = AsyncClientOptions(
            httpx_client=self._http,
            persist_session=False,
            auto_refresh_token=False,
            # The default, PKCE, is for browsers.
            flow_type="implicit",
        )
        return await acreate_client(self._url, key, options=options)


async def _sign_in(client: AsyncClient, email: str, password: str) -> User:
    with translated():
        answer = await client.auth.sign_in_with_password({"email": email, "password": password})
    if answer.user is None:
        raise invalid_credentials()
    return answer.user


async def _set_password(client: AsyncClient, new: str) -> None:
    try:
        with translated():
            await client.auth.update_user({"password": new})
            await client.auth.sign_out({"scope": "global"})
    except PlatformError:
        await _close_session(client)
        raise


async def _close_session(client: AsyncClient) -> None:
    """End the session that this call opened; never the person's own on other devices."""
    try:
        await client.auth.sign_out({"scope": "local"})
    except (AuthError, httpx.HTTPError):
        # It expires within the hour, and its tokens are not kept here.
        return


def _identity(user: User) -> Identity:
    if not user.email:
        raise email_taken()
    name = user.user_metadata.get("name")
    return Identity(user.id, user.email.lower(), name if isinstance(name, str) else "")
