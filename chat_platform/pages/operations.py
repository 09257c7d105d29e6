"""The administrators' page of what an operator watches: figures, and never content."""

import reflex as rx

from chat_platform.pages.elements import Item, nothing_yet, page_link, panel, problem_line
from chat_platform.pages.language import _
from chat_platform.pages.shell import shell
from chat_platform.state.operations import OperationsState as State


def operations_page() -> rx.Component:
    return shell(
        "/admin",
        rx.el.header(
            rx.el.h1(_("Operations")),
            rx.el.p(
                _("How the platform is doing. Days and months are those of UTC."),
                class_name="lead",
            ),
            page_link(_("Accounts, invitations and audit log"), to="/admin"),
        ),
        _freshness(),
        problem_line(State.operations_problem),
        rx.cond(
            State.is_loaded,
            rx.fragment(_peers(), _spending(), _people(), _failures(), _work()),
            rx.cond(
                State.operations_problem == "",
                rx.el.p(_("Loading…"), role="status", class_name="soft"),
            ),
        ),
        main_class="sheet-page",
    )


def _freshness() -> rx.Component:
    return rx.el.div(
        rx.el.p(State.as_of, role="status", class_name="soft"),
        rx.el.button(_("Refresh"), type="button", class_name="quiet", on_click=State.refresh),
        class_name="period",
    )


def _peers() -> rx.Component:
    return panel(_("Parts"), "parts-title", _rows(State.parts))


def _spending() -> rx.Component:
    return panel(
        _("Spending"),
        "spending-title",
        _figures(State.spending),
        rx.cond(
            State.caps,
            rx.fragment(rx.el.h3(_("Spending limits for the whole platform")), _rows(State.caps)),
        ),
        rx.cond(
            State.models,
            rx.fragment(rx.el.h3(_("By model, this month")), _rows(State.models)),
            nothing_yet(_("No model has been called this month.")),
        ),
    )


def _people() -> rx.Component:
    return panel(
        _("People"),
        "people-title",
        _figures(State.people),
        rx.el.h3(_("Newest")),
        _rows(State.newest),
    )


def _failures() -> rx.Component:
    return panel(
        _("Answers in the last 7 days"),
        "failures-title",
        _figures(State.outcomes),
        rx.cond(
            State.turn_errors,
            rx.fragment(rx.el.h3(_("Why answers failed")), _rows(State.turn_errors)),
        ),
        rx.cond(
            State.call_errors,
            rx.fragment(rx.el.h3(_("Why model calls failed")), _rows(State.call_errors)),
        ),
    )


def _work() -> rx.Component:
    return panel(_("Background work"), "work-title", _figures(State.work))


def _figures(figures: rx.Var | list) -> rx.Component:
    return rx.el.dl(rx.foreach(figures, _figure), class_name="figures")


def _figure(figure: Item) -> rx.Component:
    return rx.el.div(
        rx.el.dt(figure["name"]),
        rx.el.dd(
            figure["value"],
            rx.cond(figure["about"] != "", rx.el.small(figure["about"])),
            class_name="number",
        ),
        key=figure["name"],
    )


def _rows(rows: rx.Var | list) -> rx.Component:
    return rx.el.ul(rx.foreach(rows, _row), class_name="rows watched")


def _row(row: Item) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.strong(row["name"]),
            rx.cond(row["about"] != "", rx.el.small(row["about"])),
        ),
        rx.el.span(row["value"], class_name="number " + row["state"].to(str)),
        rx.cond(
            row["share"] != "",
            rx.el.div(
                rx.el.div(style={"width": row["share"]}, class_name="gauge-fill"),
                class_name="gauge " + row["state"].to(str),
                custom_attrs={"aria-hidden": "true"},
            ),
        ),
        key=row["name"],
    )
