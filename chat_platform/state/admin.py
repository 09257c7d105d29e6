"""Administration: accounts, their budgets, and the audit log. Others get the missing page."""

from decimal import Decimal
from typing import Any, TypedDict

import reflex as rx

from chat_platform import admin, audit
from chat_platform.billing import budgets
from chat_platform.context import app_context
from chat_platform.errors import NotFound, PlatformError
from chat_platform.ids import AccountId
from chat_platform.models import Account, AuditEntry
from chat_platform.money import to_nano_usd, to_usd_text
from chat_platform.periods import parts_of
from chat_platform.state.account import AccountState
from chat_platform.state.forms import text_of
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
    """What they spent of what, and since when they are here, in words."""
    is_disabled: bool


class ShownEntry(TypedDict):
    position: str
    when: str
    action: str
    actor: str
    """An address where the account is known, else the id."""
    subject: str
    """The same; empty where it is the actor's own."""


class AdminState(AccountState):
    accounts: list[ShownAccount] = []
    words: str = ""
    has_found_nobody: bool = False
    next_before: str = ""
    entries: list[ShownEntry] = []
    entries_before: int = 0
    """Where older entries go on; 0 at the end."""
    editing: str = ""
    admin_problem: str = ""

    @rx.event
    async def open(self) -> Any:
        if (await self._account()).role != "admin":
            return rx.redirect("/404")
        self.editing = self.admin_problem = self.words = ""
        await self._list()
        await self._list_entries()
        return None

    @rx.event
    async def search(self, form: dict[str, Any]) -> None:
        await self._admin()
        self.words = text_of(form, "words").strip()[:200]
        await self._list()

    @rx.event
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
    async def save_budget(self, form: dict[str, Any]) -> None:
        actor = await self._admin()
        try:
            await admin.set_budget(
                app_context(),
                actor,
                AccountId(text_of(form, "account")),
                limit_nano_usd=_amount(text_of(form, "limit")),
                period=text_of(form, "period"),
            )
        except (ValueError, PlatformError):
            say = self._words()
            self.admin_problem = say("Use an amount such as 5.00 and a period such as 30d or 1mo.")
            return
        self.editing = self.admin_problem = ""
        await self._list()
        await self._list_entries()

    @rx.event
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

    async def _admin(self) -> Account:
        account = await self._account()
        if account.role != "admin":
            raise NotFound("There is nothing here.")
        return account

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
        budget = await budgets.budget_of(app_context(), AccountId(account.id))
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
            actor=emails.get(actor, actor) or say("by command"),
            subject="" if subject == actor else emails.get(subject, ""),
        )


def _amount(text: str) -> int:
    """Raises ValueError, also for parts of a nano-dollar: rounded, they might become nothing."""
    amount = to_nano_usd(text)
    if Decimal(text).scaleb(9) != amount:
        raise ValueError("finer than money is")
    return amount


def period_words(say: Words, period: str) -> str:
    """Return such as "every 30 days" for `30d`."""
    number, unit = parts_of(period)
    if number == 1:
        return {"d": say("every day"), "h": say("every hour"), "mo": say("every month")}[unit]
    if unit == "mo":
        return say.many("every {number} month", "every {number} months", number)
    if unit == "h":
        return say.many("every {number} hour", "every {number} hours", number)
    return say.many("every {number} day", "every {number} days", number)


def action_words(say: Words, action: str) -> str:
    """Say what an audit entry tells of; a new kind is shown by its name."""
    return {
        "account.budget_set": say("Budget changed"),
        "account.deleted": say("Account deleted"),
        "account.deletion_began": say("Deletion of the account began"),
        "account.disabled": say("Account disabled"),
        "account.enabled": say("Account enabled"),
        "account.exported": say("Data exported"),
        "account.made_admin": say("Made an administrator"),
        "password.changed": say("Password changed"),
        "password.reset": say("Password reset by e-mail"),
        "sign_in.ended": say("Sign-in ended"),
        "sign_in.token_reused": say("Stolen token noticed, sign-in ended"),
        "token.made": say("API token made"),
        "token.revoked": say("API token revoked"),
    }.get(action, action)
