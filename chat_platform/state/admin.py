"""Administration: accounts, budgets, and the audit log. Everyone else gets a 404."""

from typing import Any, TypedDict

import reflex as rx

from chat_platform.accounts import admin, audit
from chat_platform.accounts.limits import counts_as
from chat_platform.billing import budgets
from chat_platform.billing.platform_budget import CapView, platform_budget
from chat_platform.context import app_context
from chat_platform.errors import PlatformError
from chat_platform.models import Account, AuditEntry
from chat_platform.process.rate_limits import CHANGES_OF_ACCOUNT, SEARCHES_OF_ACCOUNT
from chat_platform.state.administrator import AdministratorState
from chat_platform.state.forms import amount_of, text_of
from chat_platform.state.gauges import budget_state, share_of
from chat_platform.values.ids import AccountId
from chat_platform.values.money import to_usd_text
from chat_platform.values.periods import parts_of
from chat_platform.web.i18n import Words, at_ms

PAGE_ACCOUNTS = 30
PAGE_ENTRIES = 30


class ShownAccount(TypedDict):
    id: str
    email: str
    name: str
    limit: str
    """As a form takes it, in US dollars."""
    period: str
    """As a form takes it."""
    about: str
    """Spending, budget and date of registration, as text."""
    is_disabled: bool


class ShownCap(TypedDict):
    name: str
    about: str
    """Spending, limit and renewal, as text."""
    share: str
    """As a CSS length."""
    state: str
    """Empty, `nearly` or `spent`."""


class ShownEntry(TypedDict):
    position: str
    when: str
    action: str
    actor: str
    """The address if the account is known, else the id."""
    subject: str
    """The same; empty if it is the actor's own."""


class AdminState(AdministratorState):
    caps: list[ShownCap] = []
    """The platform's budgets, if set."""
    accounts: list[ShownAccount] = []
    words: str = ""
    has_found_nobody: bool = False
    next_before: str = ""
    entries: list[ShownEntry] = []
    entries_before: int = 0
    """The cursor for older entries; 0 at the end."""
    editing: str = ""
    admin_problem: str = ""

    @rx.event
    async def open(self) -> Any:
        if (await self._account()).role != "admin":
            return rx.redirect("/404")
        self.editing = self.admin_problem = self.words = ""
        await self._show_caps()
        await self._list()
        await self._list_entries()
        return None

    @rx.event
    @counts_as(SEARCHES_OF_ACCOUNT)
    async def search(self, form: dict[str, Any]) -> None:
        await self._admin()
        self.words = text_of(form, "words").strip()
        await self._list()

    @rx.event
    @counts_as(SEARCHES_OF_ACCOUNT)
    async def show_more(self) -> None:
        await self._admin()
        if self.next_before:
            await self._list(before=self.next_before)

    @rx.event
    async def show_more_entries(self) -> None:
        await self._admin()
        if self.entries_before:
            await self._list_entries(before=self.entries_before)

    @rx.event
    async def edit(self, account_id: str) -> None:
        await self._admin()
        self.editing = "" if self.editing == account_id else account_id
        self.admin_problem = ""

    @rx.event
    @counts_as(CHANGES_OF_ACCOUNT)
    async def save_budget(self, form: dict[str, Any]) -> None:
        actor, account_id = await self._admin(), AccountId(text_of(form, "account"))
        try:
            limit, period = amount_of(form, "limit"), text_of(form, "period")
            await admin.set_budget(
                app_context(), actor, account_id, limit_nano_usd=limit, period=period
            )
        except PlatformError as exc:
            self.admin_problem = self._why(exc)
        except ValueError:
            say = self._words()
            self.admin_problem = say("Use an amount such as 5.00.")
        else:
            self.editing = self.admin_problem = ""
            await self._list()
            await self._list_entries()

    @rx.event
    @counts_as(CHANGES_OF_ACCOUNT)
    async def set_disabled(self, account_id: str, is_disabled: bool) -> None:
        actor = await self._admin()
        try:
            await admin.set_disabled(
                app_context(), actor, AccountId(account_id), is_disabled=bool(is_disabled)
            )
        except PlatformError as exc:
            self.admin_problem = self._why(exc)
            return
        self.admin_problem = ""
        await self._list()
        await self._list_entries()

    async def _show_caps(self) -> None:
        say = self._words()
        budget = await platform_budget(app_context())
        self.caps = [
            *([_cap(say, say("All time"), budget.total)] if budget.total else []),
            *([_cap(say, say("Today, until 00:00 UTC"), budget.day)] if budget.day else []),
        ]

    async def _list(self, *, before: str = "") -> None:
        page = await admin.list_accounts(
            app_context(), words=self.words, limit=PAGE_ACCOUNTS, before=before or None
        )
        shown = [await self._shown(account) for account in page.accounts]
        self.accounts = [*self.accounts, *shown] if before else shown
        self.has_found_nobody = not self.accounts
        self.next_before = page.next_before or ""

    async def _shown(self, account: Account) -> ShownAccount:
        say = self._words()
        budget = await budgets.budget_of(app_context(), account.id)
        return ShownAccount(
            id=account.id,
            email=account.email,
            name=account.name,
            limit=to_usd_text(budget.limit_nano_usd).rstrip("0").rstrip("."),
            period=budget.period,
            about=" · ".join(
                (
                    say(
                        "{spent} of {limit}",
                        spent=say.money(budget.spent_nano_usd),
                        limit=say.money(budget.limit_nano_usd),
                    ),
                    period_words(say, budget.period),
                    say("since {day}", day=say.day(at_ms(account.created_at_ms, self._zone()))),
                )
            ),
            is_disabled=account.disabled_at_ms is not None,
        )

    async def _list_entries(self, *, before: int = 0) -> None:
        page = await audit.page(app_context(), limit=PAGE_ENTRIES, before=before or None)
        ids = {i for entry in page.entries for i in (entry.actor_id, entry.subject_id) if i}
        emails = await admin.emails_of(app_context(), ids)
        shown = [self._entry(entry, emails) for entry in page.entries]
        self.entries = [*self.entries, *shown] if before else shown
        self.entries_before = page.next_before or 0

    def _entry(self, entry: AuditEntry, emails: dict[str, str]) -> ShownEntry:
        say = self._words()
        actor, subject = entry.actor_id or "", entry.subject_id or ""
        return ShownEntry(
            position=str(entry.position),
            when=say.moment(at_ms(entry.at_ms, self._zone())),
            action=action_words(say, entry.action),
            actor=emails.get(actor, actor) or _unnamed_actor(say, entry.action),
            subject="" if subject == actor else emails.get(subject, ""),
        )


def _cap(say: Words, name: str, cap: CapView) -> ShownCap:
    spent, limit = cap.spent_nano_usd, cap.limit_nano_usd
    return ShownCap(
        name=name,
        about=say("{spent} of {limit}", spent=say.money(spent), limit=say.money(limit)),
        share=share_of(spent, limit),
        state=budget_state(spent, limit),
    )


def period_words(say: Words, period: str) -> str:
    """Return, for example, "every 30 days" for `30d`."""
    number, unit = parts_of(period)
    if number == 1:
        return {"d": say("every day"), "h": say("every hour"), "mo": say("every month")}[unit]
    if unit == "mo":
        return say.many("every {number} month", "every {number} months", number)
    if unit == "h":
        return say.many("every {number} hour", "every {number} hours", number)
    return say.many("every {number} day", "every {number} days", number)


def _unnamed_actor(say: Words, action: str) -> str:
    """Name the actor of an entry without an account."""
    match action:
        case "sign_in.failed" | "sign_in.token_reused":
            return say("someone not signed in")
        case "account.deleted":
            return say("the server")
        case _:
            return say("from the command line")


def action_words(say: Words, action: str) -> str:
    """Describe an audit entry; an unknown action is shown by its name."""
    return {
        "account.budget_set": say("Budget changed"),
        "account.deleted": say("Account deleted"),
        "account.deletion_began": say("Account deletion started"),
        "account.disabled": say("Account disabled"),
        "account.enabled": say("Account enabled"),
        "account.exported": say("Data exported"),
        "account.made_admin": say("Made an administrator"),
        "invitation.made": say("Invitation created"),
        "invitation.revoked": say("Invitation revoked"),
        "invitation.used": say("Registered with an invitation"),
        "password.changed": say("Password changed"),
        "password.reset": say("Password reset by email"),
        "setup_code.made": say("Setup code created"),
        "sign_in.ended": say("Signed out"),
        "sign_in.failed": say("Incorrect password or code"),
        "sign_in.opened": say("Signed in"),
        "sign_in.token_reused": say("Stolen token detected, signed out"),
        "token.made": say("API token created"),
        "token.revoked": say("API token revoked"),
    }.get(action, action)
