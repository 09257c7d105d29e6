"""Who may act for the person: their sign-ins and their API tokens."""

import contextlib
from typing import Any, TypedDict, cast

import reflex as rx

from chat_platform import api_tokens, sign_ins
from chat_platform.api_tokens import SCOPES, Scope
from chat_platform.clock import now_ms
from chat_platform.context import app_context
from chat_platform.errors import NotFound, PlatformError
from chat_platform.models import ApiToken, SignIn
from chat_platform.state.account import AccountState
from chat_platform.state.forms import text_of
from chat_platform.web.devices import device_words
from chat_platform.web.i18n import Words, at_ms

LIFETIMES_DAYS = (30, 90, 365)


class ShownSignIn(TypedDict):
    id: str
    device: str
    """Browser and system in words."""
    told: str
    """What the browser itself says it is."""
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
    """Signed in elsewhere too."""
    tokens: list[ShownToken] = []
    new_token: str = ""
    """Shown once, until the page is left."""
    curl: str = ""
    name_problem: str = ""
    rights_problem: str = ""
    token_form: int = 0
    """Another number makes the form anew, empty."""

    @rx.event
    async def open(self) -> None:
        self.new_token = self.curl = self.name_problem = self.rights_problem = ""
        await self._refresh()

    @rx.event
    async def end_sign_in(self, sign_in_id: str) -> None:
        caller = await self._caller()
        # What ended elsewhere meanwhile only has to leave the page.
        with contextlib.suppress(NotFound):
            await sign_ins.end_sign_in(app_context(), caller.account_id, sign_in_id)
        await self._refresh()

    @rx.event
    async def end_others(self) -> None:
        caller = await self._caller()
        others = await sign_ins.list_sign_ins(app_context(), caller.account_id)
        for row in others:
            if row.id != caller.sign_in_id:
                with contextlib.suppress(NotFound):
                    await sign_ins.end_sign_in(app_context(), caller.account_id, row.id)
        await self._refresh()

    @rx.event
    async def make_token(self, form: dict[str, Any]) -> None:
        """Make a token and show it, with a call that uses it."""
        caller, say = await self._caller(), self._words()
        name = text_of(form, "name").strip()[:100]
        scopes = cast(frozenset[Scope], frozenset(s for s in SCOPES if text_of(form, f"scope-{s}")))
        days = text_of(form, "days")
        self.name_problem = "" if name else say("Give the token a name.")
        self.rights_problem = "" if scopes else say("Give it at least one right.")
        if not name or not scopes:
            return
        try:
            made = await api_tokens.make_token(
                app_context(),
                caller.account_id,
                name=name,
                scopes=scopes,
                expires_in_days=int(days) if days in map(str, LIFETIMES_DAYS) else None,
            )
        except PlatformError as exc:
            self.name_problem = self._why(exc)
            return
        self.new_token, self.curl = made.secret, self._example(made.secret, scopes)
        self.token_form += 1
        await self._refresh()

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
            for row in await sign_ins.list_sign_ins(ctx, caller.account_id)
        ]
        self.has_others = len(self.sign_ins) > 1
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
        """Return a command that the token's rights allow."""
        headers = self.router.headers
        api = f"{headers.origin or f'http://{headers.host}'}/api/v1"
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


def _rights(say: Words, scopes: str) -> str:
    names = {"chat": say("Chat"), "memory": say("Memory"), "usage": say("Usage")}
    return ", ".join(names.get(scope, scope) for scope in scopes.split())
