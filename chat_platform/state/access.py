"""The person's sign-ins and API tokens."""

import contextlib
from typing import Any, TypedDict

import reflex as rx

from chat_platform.accounts import api_tokens, sign_in_rows
from chat_platform.accounts.api_tokens import DEFAULT_DAYS, SCOPES, Scope, TokenTerms
from chat_platform.accounts.limits import counts_as
from chat_platform.accounts.passwords import ensure_proven
from chat_platform.accounts.sign_in import Caller
from chat_platform.context import app_context
from chat_platform.errors import Invalid, NotFound, PlatformError
from chat_platform.models import ApiToken, SignIn
from chat_platform.process.rate_limits import CHANGES_OF_ACCOUNT
from chat_platform.state.account import AccountState
from chat_platform.state.forms import text_of
from chat_platform.values.clock import now_ms
from chat_platform.web.devices import device_words
from chat_platform.web.i18n import Words, at_ms

LIFETIMES_DAYS = (30, DEFAULT_DAYS, 365)


class ShownSignIn(TypedDict):
    id: str
    device: str
    """Browser and system in words."""
    told: str
    """The browser's own description."""
    seen: str
    is_current: bool


class ShownToken(TypedDict):
    id: str
    name: str
    prefix: str
    about: str
    is_expired: bool


class AccessState(AccountState):
    sign_ins: list[ShownSignIn] = []
    has_others: bool = False
    """True if the person is signed in elsewhere too."""
    tokens: list[ShownToken] = []
    new_token: str = ""
    """Shown once, until the page is left."""
    curl: str = ""
    name_problem: str = ""
    rights_problem: str = ""
    password_problem: str = ""
    needs_password: bool = False
    """The sign-in is too old to create a token without the password."""
    token_form: int = 0
    """A new number resets the form."""

    @rx.event
    async def open(self) -> None:
        self.new_token = self.curl = ""
        self.name_problem = self.rights_problem = self.password_problem = ""
        await self._refresh()

    @rx.event
    async def end_sign_in(self, sign_in_id: str) -> None:
        caller = await self._caller()
        # If it has already ended elsewhere, it only has to disappear from the page.
        with contextlib.suppress(NotFound):
            await sign_in_rows.end_sign_in(app_context(), caller.account_id, sign_in_id)
        await self._refresh()

    @rx.event
    async def end_others(self) -> None:
        caller = await self._caller()
        others = await sign_in_rows.list_sign_ins(app_context(), caller.account_id)
        for row in others:
            if row.id != caller.sign_in_id:
                with contextlib.suppress(NotFound):
                    await sign_in_rows.end_sign_in(app_context(), caller.account_id, row.id)
        await self._refresh()

    @rx.event
    @counts_as(CHANGES_OF_ACCOUNT)
    async def make_token(self, form: dict[str, Any]) -> None:
        """Create a token and show it, with an example call."""
        caller = await self._caller()
        terms = self._terms(form)
        if terms is None or not await self._is_proven(caller, form):
            return
        try:
            made = await api_tokens.make_token(app_context(), caller.account_id, terms)
        except PlatformError as exc:
            self.name_problem = self._why(exc)
            return
        self.new_token, self.curl = made.secret, self._example(made.secret, terms.scopes)
        self.token_form += 1
        await self._refresh()

    def _terms(self, form: dict[str, Any]) -> TokenTerms | None:
        """Return the form's terms; None, and the reasons beside the fields, if it has none."""
        self.name_problem = self.rights_problem = ""
        scopes: list[Scope] = [s for s in SCOPES if text_of(form, f"scope-{s}")]
        try:
            return api_tokens.terms_of(
                text_of(form, "name"), scopes, expires_in_days=_lifetime_of(form)
            )
        except Invalid as exc:
            wrong = {field.field for field in exc.fields}
            if not wrong & {"name", "scopes"}:
                raise
            self.name_problem = self._why(exc) if exc.code == "invalid_name" else ""
        if "scopes" in wrong:
            self.rights_problem = self._why(api_tokens.no_scopes())
        return None

    async def _is_proven(self, caller: Caller, form: dict[str, Any]) -> bool:
        """If the sign-in is old, make the form ask for the password."""
        self.password_problem = ""
        try:
            await ensure_proven(
                app_context(),
                caller.account,
                password=text_of(form, "password") or None,
                sign_in_id=caller.sign_in_id,
                address=self._address(),
            )
        except PlatformError as exc:
            self.needs_password, self.password_problem = True, self._why(exc)
            return False
        return True

    @rx.event
    async def revoke_token(self, token_id: str) -> None:
        caller = await self._caller()
        with contextlib.suppress(NotFound):
            await api_tokens.revoke_token(app_context(), caller.account_id, token_id)
        await self._refresh()

    async def _refresh(self) -> None:
        caller = await self._caller()
        ctx = app_context()
        self.sign_ins = [
            self._sign_in(row, caller.sign_in_id)
            for row in await sign_in_rows.list_sign_ins(ctx, caller.account_id)
        ]
        self.has_others = len(self.sign_ins) > 1
        self.needs_password = not await sign_in_rows.is_fresh(ctx, caller.sign_in_id)
        self.tokens = [self._token(t) for t in await api_tokens.list_tokens(ctx, caller.account_id)]

    def _sign_in(self, row: SignIn, current_id: str | None) -> ShownSignIn:
        say = self._words()
        seen = say.moment(at_ms(row.last_seen_at_ms, self._zone()))
        return ShownSignIn(
            id=row.id,
            device=device_words(say, row.device),
            told=row.device,
            seen=say("Last used {when}", when=seen),
            is_current=row.id == current_id,
        )

    def _token(self, row: ApiToken) -> ShownToken:
        say, zone = self._words(), self._zone()
        ends = say("never expires")
        if row.expires_at_ms:
            ends = say("expires on {day}", day=say.day(at_ms(row.expires_at_ms, zone)))
        used = say("never used")
        if row.last_used_at_ms:
            used = say("last used {when}", when=say.moment(at_ms(row.last_used_at_ms, zone)))
        return ShownToken(
            id=row.id,
            name=row.name,
            prefix=row.prefix,
            about=f"{_rights(say, row.scopes)} · {ends} · {used}",
            is_expired=bool(row.expires_at_ms and row.expires_at_ms < now_ms()),
        )

    def _example(self, secret: str, scopes: frozenset[Scope]) -> str:
        """Return a command that the token's scopes allow."""
        api = f"{self._site()}/api/v1"
        bearer = f'-H "Authorization: Bearer {secret}"'
        if "chat" not in scopes:
            path = "agent/memory" if "memory" in scopes else "user/usage"
            return f'curl "{api}/{path}" \\\n  {bearer}'
        return (
            f'curl -X POST "{api}/chat/message" \\\n'
            f"  {bearer} \\\n"
            '  -H "Content-Type: application/json" \\\n'
            '  -d \'{"content": "Hello!"}\''
        )


def _lifetime_of(form: object) -> int | None:
    """Return the days that were chosen; None if the token is to live for ever, 0 for nonsense."""
    text = text_of(form, "days")
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    return None if not text else int(text) if is_number else 0


def _rights(say: Words, scopes: str) -> str:
    names = {"chat": say("Chat"), "memory": say("Memory"), "usage": say("Usage")}
    return ", ".join(names.get(scope, scope) for scope in scopes.split())
