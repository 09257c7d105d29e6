"""Who may act for the person: their sign-ins and their API tokens."""

from typing import Any, TypedDict, cast

import reflex as rx

from chat_platform import api_tokens, sign_ins
from chat_platform.api_tokens import SCOPES, Scope
from chat_platform.clock import now_ms
from chat_platform.context import app_context
from chat_platform.models import ApiToken, SignIn
from chat_platform.state.account import AccountState
from chat_platform.web.i18n import at_ms

LIFETIMES_DAYS = (30, 90, 365)


class ShownSignIn(TypedDict):
    id: str
    device: str
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
    tokens: list[ShownToken] = []
    new_token: str = ""
    """Shown once, until the page is left."""
    curl: str = ""
    token_problem: str = ""

    @rx.event
    async def open(self) -> None:
        self.new_token = self.curl = self.token_problem = ""
        await self._refresh()

    @rx.event
    async def end_sign_in(self, sign_in_id: str) -> None:
        caller = await self._caller()
        await sign_ins.end_sign_in(app_context(), caller.account_id, sign_in_id)
        await self._refresh()

    @rx.event
    async def make_token(self, form: dict[str, Any]) -> None:
        """Make a token and show it, with a call that uses it."""
        caller, say = await self._caller(), self._words()
        name = str(form.get("name", "")).strip()[:100]
        scopes = cast(frozenset[Scope], frozenset(s for s in SCOPES if form.get(f"scope-{s}")))
        days = str(form.get("days", ""))
        self.token_problem = ""
        if not name or not scopes:
            self.token_problem = say("Give the token a name and at least one right.")
            return
        made = await api_tokens.make_token(
            app_context(),
            caller.account_id,
            name=name,
            scopes=scopes,
            expires_in_days=int(days) if days in map(str, LIFETIMES_DAYS) else None,
        )
        self.new_token, self.curl = made.secret, self._example(made.secret)
        await self._refresh()

    @rx.event
    async def revoke_token(self, token_id: str) -> None:
        caller = await self._caller()
        await api_tokens.revoke_token(app_context(), caller.account_id, token_id)
        await self._refresh()

    async def _refresh(self) -> None:
        caller = await self._caller()
        ctx = app_context()
        self.sign_ins = [
            self._sign_in(row, caller.sign_in_id)
            for row in await sign_ins.list_sign_ins(ctx, caller.account_id)
        ]
        self.tokens = [self._token(t) for t in await api_tokens.list_tokens(ctx, caller.account_id)]

    def _sign_in(self, row: SignIn, current_id: str | None) -> ShownSignIn:
        say = self._words()
        seen = say.moment(at_ms(row.last_seen_at_ms, self._zone()))
        return ShownSignIn(
            id=row.id,
            device=row.device or say("Unknown device"),
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
            about=f"{row.scopes.replace(' ', ', ')} · {ends} · {used}",
            is_expired=bool(row.expires_at_ms and row.expires_at_ms < now_ms()),
        )

    def _example(self, secret: str) -> str:
        headers = self.router.headers
        origin = headers.origin or f"http://{headers.host}"
        return (
            f'curl -X POST "{origin}/api/v1/chat/message" \\\n'
            f'  -H "Authorization: Bearer {secret}" \\\n'
            '  -H "Content-Type: application/json" \\\n'
            '  -d \'{"content": "Hello!"}\''
        )
