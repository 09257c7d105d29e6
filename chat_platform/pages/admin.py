"""The administration page."""

import reflex as rx

from chat_platform.pages.elements import (
    Item,
    nothing_yet,
    page_link,
    panel,
    problem_line,
    row_form,
    small_button,
)
from chat_platform.pages.invitations import invitations
from chat_platform.pages.language import _
from chat_platform.pages.shell import shell
from chat_platform.state.admin import AdminState


def admin_page() -> rx.Component:
    return shell(
        "/admin",
        rx.el.header(
            rx.el.h1(_("Administration")),
            rx.el.p(
                _("Manage accounts and budgets, and review the audit log. Messages stay private."),
                class_name="lead",
            ),
            page_link(_("Operations: health, spending and failures"), to="/operations"),
        ),
        rx.cond(AdminState.editing == "", problem_line(AdminState.admin_problem)),
        rx.cond(AdminState.caps, _caps()),
        _accounts(),
        invitations(),
        _audit(),
        main_class="sheet-page",
    )


def _caps() -> rx.Component:
    return panel(
        _("Spending limits for the whole platform"),
        "caps-title",
        rx.el.ul(rx.foreach(AdminState.caps, _cap), class_name="rows"),
    )


def _cap(cap: Item) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.strong(cap["name"]),
            rx.el.small(cap["about"], class_name="number"),
            rx.el.div(
                rx.el.div(style={"width": cap["share"]}, class_name="gauge-fill"),
                class_name="gauge big " + cap["state"].to(str),
                custom_attrs={"aria-hidden": "true"},
            ),
        ),
        key=cap["name"],
    )


def _accounts() -> rx.Component:
    return panel(
        _("Accounts"),
        "accounts-title",
        row_form("account-words", _("Name or email"), _("Search"), on_submit=AdminState.search),
        rx.el.ul(rx.foreach(AdminState.accounts, _account), class_name="rows"),
        rx.cond(
            AdminState.has_found_nobody,
            nothing_yet(_("No accounts match your search.")),
        ),
        _more(AdminState.next_before != "", AdminState.show_more),
    )


def _more(is_there: rx.Var | bool, on_click: rx.event.EventType) -> rx.Component:
    return rx.cond(is_there, small_button(_("Show more"), on_click=on_click))


def _account(account: Item) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.strong(account["email"]),
            " ",
            rx.el.span(account["name"], class_name="soft"),
            rx.cond(account["is_disabled"], rx.el.em(" ", _("disabled"))),
            rx.el.small(account["about"]),
            rx.cond(AdminState.editing == account["id"], _budget(account)),
        ),
        rx.el.div(
            small_button(
                _("Budget"),
                about=account["email"],
                on_click=AdminState.edit(account["id"]),
                aria_expanded=rx.cond(AdminState.editing == account["id"], "true", "false"),
            ),
            small_button(
                rx.cond(account["is_disabled"], _("Enable"), _("Disable")),
                about=account["email"],
                on_click=AdminState.set_disabled(account["id"], ~account["is_disabled"]),
            ),
            class_name="actions",
        ),
        key=account["id"],
    )


def _budget(account: Item) -> rx.Component:
    return rx.el.form(
        problem_line(AdminState.admin_problem),
        rx.el.input(type="hidden", name="account", value=account["id"], read_only=True),
        rx.el.label(
            _("Limit in US dollars"),
            rx.el.input(name="limit", default_value=account["limit"], input_mode="decimal"),
        ),
        rx.el.label(
            _("Period, such as 30d or 1mo"),
            rx.el.input(name="period", default_value=account["period"]),
        ),
        rx.el.button(_("Save"), type="submit", class_name="primary"),
        on_submit=AdminState.save_budget,
        class_name="stack narrow",
    )


def _audit() -> rx.Component:
    return panel(
        _("Audit log"),
        "audit-title",
        rx.el.ul(rx.foreach(AdminState.entries, _entry), class_name="rows"),
        rx.cond(
            AdminState.entries,
            rx.fragment(),
            nothing_yet(
                _("Nothing yet. Changes to accounts, tokens and budgets will appear here.")
            ),
        ),
        _more(AdminState.entries_before > 0, AdminState.show_more_entries),
    )


def _entry(entry: Item) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.span(entry["action"]),
            rx.cond(entry["subject"] != "", rx.el.span(": ", rx.el.strong(entry["subject"]))),
            rx.el.small(entry["actor"]),
        ),
        rx.el.small(entry["when"], class_name="when"),
        key=entry["position"],
    )
