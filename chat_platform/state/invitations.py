"""Invitations on the administration page: created, shown once with their link, listed, revoked."""

from typing import Any, TypedDict

import reflex as rx

from chat_platform.accounts import admin, registration
from chat_platform.accounts.invitations import DEFAULT_DAYS, link_to, status_of
from chat_platform.accounts.limits import counts_as
from chat_platform.context import app_context
from chat_platform.errors import PlatformError
from chat_platform.models.registration import Invitation
from chat_platform.process.rate_limits import CHANGES_OF_ACCOUNT
from chat_platform.state.admin import AdminState
from chat_platform.state.administrator import AdministratorState
from chat_platform.state.forms import amount_of, choice_of, text_of
from chat_platform.web.i18n import at_ms

LIFETIMES_DAYS = (1, DEFAULT_DAYS, 30, 90)
PAGE_INVITATIONS = 20


class ShownInvitation(TypedDict):
    id: str
    who: str
    """The person it is for, or who used it."""
    about: str
    """Its budget and status, as text."""
    is_waiting: bool


class _Terms(TypedDict):
    budget_nano_usd: int | None
    days: int
    email: str | None


class InvitationsState(AdministratorState):
    invitations: list[ShownInvitation] = []
    next_before: str = ""
    policy: str = ""
    """Who may register here, as text."""
    new_link: str = ""
    """Shown once, until the page is left."""
    new_code: str = ""
    email_problem: str = ""
    budget_problem: str = ""
    invitations_problem: str = ""
    invitation_form: int = 0
    """A new number resets the form."""

    @rx.event
    async def open(self) -> Any:
        if (await self._account()).role != "admin":
            return rx.redirect("/404")
        self.new_link = self.new_code = ""
        self.email_problem = self.budget_problem = self.invitations_problem = ""
        self.policy = await self._policy()
        await self._list()
        return None

    @rx.event
    @counts_as(CHANGES_OF_ACCOUNT)
    async def make_invitation(self, form: dict[str, Any]) -> None:
        """Create an invitation and show its link."""
        actor = await self._admin()
        self.email_problem = self.budget_problem = self.invitations_problem = ""
        terms = self._terms(form)
        if terms is None:
            return
        try:
            made = await admin.make_invitation(app_context(), actor, **terms)
        except PlatformError as exc:
            self._tell_problem(exc)
            return
        self.new_code, self.new_link = made.code, link_to(self._site(), made.code)
        self.invitation_form += 1
        await self._refresh()

    @rx.event
    @counts_as(CHANGES_OF_ACCOUNT)
    async def revoke_invitation(self, invitation_id: str) -> None:
        actor = await self._admin()
        self.invitations_problem = ""
        try:
            await admin.revoke_invitation(app_context(), actor, str(invitation_id))
        except PlatformError as exc:
            self.invitations_problem = self._why(exc)
        await self._refresh()

    @rx.event
    async def show_more_invitations(self) -> None:
        await self._admin()
        if self.next_before:
            await self._list(before=self.next_before)

    def _tell_problem(self, error: PlatformError) -> None:
        words = self._why(error)
        match error.code:
            case "invalid_email" | "domain_not_allowed":
                self.email_problem = words
            case "bad_budget":
                self.budget_problem = words
            case _:
                self.invitations_problem = words

    async def _refresh(self) -> None:
        await self._list()
        await (await self.get_state(AdminState))._list_entries()

    async def _policy(self) -> str:
        say = self._words()
        return {
            "open": say(
                "Anyone can register here without an invitation. An invitation can set a "
                "different budget."
            ),
            "closed": say(
                "Registration is closed. Invitations will not work until the server's settings "
                "allow registration."
            ),
        }.get(
            await registration.policy_now(app_context()),
            say("Each link lets one person register, once."),
        )

    async def _list(self, *, before: str = "") -> None:
        page = await admin.list_invitations(
            app_context(), limit=PAGE_INVITATIONS, before=before or None
        )
        used_by = {row.used_by for row in page.invitations if row.used_by}
        emails = await admin.emails_of(app_context(), used_by)
        shown = [self._shown(row, emails) for row in page.invitations]
        self.invitations = [*self.invitations, *shown] if before else shown
        self.next_before = page.next_before or ""

    def _shown(self, row: Invitation, emails: dict[str, str]) -> ShownInvitation:
        say = self._words()
        budget = row.budget_nano_usd
        amount = say("default budget")
        if budget is not None:
            amount = say("budget {amount}", amount=say.money(budget))
        return ShownInvitation(
            id=row.id,
            who=emails.get(row.used_by or "") or row.email or say("Anyone with the link"),
            about=f"{amount} · {self._standing(row)}",
            is_waiting=status_of(row) == "waiting",
        )

    def _terms(self, form: dict[str, Any]) -> _Terms | None:
        """Return the form's terms; None, with the reason beside the field, if it has no amount."""
        try:
            budget = amount_of(form, "budget") if text_of(form, "budget").strip() else None
        except ValueError:
            say = self._words()
            self.budget_problem = say("Use an amount such as 5.00, or leave it empty.")
            return None
        return {
            "budget_nano_usd": budget,
            "days": choice_of(form, "days", LIFETIMES_DAYS) or DEFAULT_DAYS,
            "email": text_of(form, "email").strip() or None,
        }

    def _standing(self, row: Invitation) -> str:
        say = self._words()
        match status_of(row):
            case "used":
                return say("used on {day}", day=self._day(row.used_at_ms or 0))
            case "revoked":
                return say("revoked on {day}", day=self._day(row.revoked_at_ms or 0))
            case "expired":
                return say("expired on {day}", day=self._day(row.expires_at_ms))
            case "waiting":
                return say("expires on {day}", day=self._day(row.expires_at_ms))

    def _day(self, ms: int) -> str:
        return self._words().day(at_ms(ms, self._zone()))
