"""The administration page."""

import reflex as rx

from chat_platform.pages.elements import Item
from chat_platform.pages.language import _
from chat_platform.pages.shell import shell
from chat_platform.state.admin import AdminState


def admin_page() -> rx.Component:
    return shell(
        "/admin",
        rx.el.header(
            rx.el.h1(_("Administration")),
            rx.el.p(
                _("Accounts, what they may spend, and what happened. Nobody's messages."),
                class_name="lead",
            ),
        ),
        rx.cond(
            AdminState.admin_problem != "",
            rx.el.p(AdminState.admin_problem, role="alert", class_name="notice problem"),
        ),
        _accounts(),
        _audit(),
        main_class="sheet-page",
    )


def _accounts() -> rx.Component:
    return rx.el.section(
        rx.el.h2(_("Accounts"), id="accounts-title"),
        rx.el.form(
            rx.el.label(_("Name or e-mail"), html_for="account-words", class_name="sr-only"),
            rx.el.input(
                id="account-words",
                name="words",
                type="search",
                placeholder=_("Name or e-mail"),
                auto_complete="off",
            ),
            rx.el.button(_("Search"), type="submit"),
            on_submit=AdminState.search,
            class_name="inline-form",
        ),
        rx.el.ul(rx.foreach(AdminState.accounts, _account), class_name="rows"),
        rx.cond(
            AdminState.next_before != "",
            rx.el.button(
                _("Show more"), type="button", class_name="quiet", on_click=AdminState.show_more
            ),
        ),
        class_name="panel stack",
        custom_attrs={"aria-labelledby": "accounts-title"},
    )


def _account(account: Item) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.strong(account["email"]),
            " ",
            rx.el.span(account["name"], class_name="soft"),
            rx.cond(account["is_disabled"], rx.el.em(" ", _("disabled"))),
            rx.el.small(
                rx.el.span(account["spent"], class_name="number"),
                " / $",
                account["limit"],
                " · ",
                account["period"],
                " · ",
                account["since"],
            ),
            rx.cond(AdminState.editing == account["id"], _budget(account)),
        ),
        rx.el.div(
            rx.el.button(
                _("Budget"),
                rx.el.span(" ", account["email"], class_name="sr-only"),
                type="button",
                class_name="quiet",
                on_click=AdminState.edit(account["id"]),
            ),
            rx.el.button(
                rx.cond(account["is_disabled"], _("Enable"), _("Disable")),
                rx.el.span(" ", account["email"], class_name="sr-only"),
                type="button",
                class_name="quiet",
                on_click=AdminState.set_disabled(account["id"], ~account["is_disabled"]),
            ),
            class_name="actions",
        ),
        key=account["id"],
    )


def _budget(account: Item) -> rx.Component:
    return rx.el.form(
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
    return rx.el.section(
        rx.el.h2(_("What happened"), id="audit-title"),
        rx.el.div(
            rx.el.table(
                rx.el.thead(
                    rx.el.tr(
                        rx.el.th(_("When"), scope="col"),
                        rx.el.th(_("What"), scope="col"),
                        rx.el.th(_("By"), scope="col"),
                        rx.el.th(_("On"), scope="col"),
                    )
                ),
                rx.el.tbody(rx.foreach(AdminState.entries, _entry)),
            ),
            class_name="table-wrap",
            tab_index=0,
            role="group",
            aria_label=_("What happened"),
        ),
        class_name="panel stack",
        custom_attrs={"aria-labelledby": "audit-title"},
    )


def _entry(entry: Item) -> rx.Component:
    return rx.el.tr(
        rx.el.td(entry["when"]),
        rx.el.td(entry["action"]),
        rx.el.td(rx.el.code(entry["actor"])),
        rx.el.td(rx.el.code(entry["subject"])),
        key=entry["position"],
    )
