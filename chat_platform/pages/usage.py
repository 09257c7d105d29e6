"""The usage page: the budget, a chart by day with a table, and the costs by message and model."""

import reflex as rx

from chat_platform.pages.elements import Item, nothing_yet, page_link, panel
from chat_platform.pages.icons import icon
from chat_platform.pages.language import _
from chat_platform.pages.shell import shell
from chat_platform.state.usage import UsageState


def usage_page() -> rx.Component:
    return shell(
        "/usage",
        rx.el.header(
            rx.el.h1(_("Usage")),
            rx.el.p(
                _(
                    "You are charged the exact price of every model call your agent makes, "
                    "including the hidden ones."
                ),
                class_name="lead",
            ),
        ),
        _budget(),
        _period(),
        rx.cond(
            UsageState.is_empty,
            rx.el.section(
                nothing_yet(
                    _(
                        "No usage in this period. Message your agent: each answer shows its cost, "
                        "and this page adds up the costs by day, message and model."
                    ),
                    page_link(_("Message your agent"), to="/chat", class_name="button"),
                ),
                class_name="panel",
            ),
            rx.fragment(_by_day(), _by_turn(), _by_model(), _by_kind()),
        ),
        main_class="sheet-page",
    )


def _budget() -> rx.Component:
    return panel(
        _("Budget"),
        "budget-title",
        rx.el.dl(
            _figure(_("Spent"), "spent", UsageState.spent),
            _figure(_("Remaining"), "left", UsageState.left),
            _figure(_("Limit"), "limit", UsageState.limit),
            _figure(_("Renews on"), "renews", UsageState.renews, rx.el.small(UsageState.renews_in)),
            class_name="figures",
        ),
        rx.el.div(
            rx.el.div(style={"width": UsageState.spent_share}, class_name="gauge-fill"),
            class_name="gauge big " + UsageState.budget_state,
            custom_attrs={"aria-hidden": "true"},
        ),
        rx.cond(
            UsageState.earlier_words != "",
            rx.el.p(
                UsageState.earlier_words,
                class_name="soft",
                custom_attrs={"data-testid": "earlier"},
            ),
        ),
        rx.cond(
            UsageState.spent_words != "",
            rx.el.p(UsageState.spent_words, role="status", class_name="notice problem"),
        ),
    )


def _figure(name: str, test_id: str, *value: rx.Var | str | rx.Component) -> rx.Component:
    return rx.el.div(
        rx.el.dt(name),
        rx.el.dd(*value, class_name="number", custom_attrs={"data-testid": test_id}),
    )


def _period() -> rx.Component:
    periods = [
        ("budget", _("This budget period")),
        ("7", _("7 days")),
        ("30", _("30 days")),
        ("90", _("90 days")),
    ]
    return rx.el.div(
        rx.el.fieldset(
            rx.el.legend(_("Period"), class_name="sr-only"),
            *(
                rx.el.label(
                    rx.el.input(
                        type="radio",
                        name="period",
                        value=value,
                        checked=UsageState.period == value,
                        on_change=UsageState.choose(value),
                    ),
                    name,
                )
                for value, name in periods
            ),
            class_name="segments",
        ),
        rx.el.button(
            icon("download"),
            _("CSV"),
            type="button",
            class_name="quiet",
            on_click=UsageState.download_csv,
        ),
        class_name="period",
    )


def _by_day() -> rx.Component:
    return rx.el.section(
        rx.el.div(
            rx.el.h2(_("By day"), id="days-title"),
            rx.el.span(UsageState.total, class_name="number total"),
            class_name="panel-head",
        ),
        rx.el.p(UsageState.summary, class_name="soft"),
        rx.cond(UsageState.pending != "", rx.el.p(UsageState.pending, class_name="soft")),
        rx.el.figure(
            rx.el.small(UsageState.highest, class_name="number highest"),
            rx.el.div(
                rx.foreach(UsageState.days, _bar),
                class_name="bars",
                role="img",
                aria_label=_("Cost by day. The same numbers are in the table below."),
            ),
            rx.el.div(
                rx.el.small(UsageState.first_day),
                rx.el.small(UsageState.last_day),
                class_name="bar-days",
            ),
            class_name="chart",
        ),
        rx.el.details(
            rx.el.summary(_("View as a table")),
            _table(_("Day"), UsageState.days, "by-day"),
        ),
        class_name="panel stack",
        custom_attrs={"aria-labelledby": "days-title"},
    )


def _bar(day: Item) -> rx.Component:
    return rx.el.div(
        rx.el.span(class_name="bar", style={"height": day["share"]}),
        title=day["name"].to(str) + ": " + day["cost"].to(str),
        key=day["name"],
        class_name="bar-place",
    )


def _by_turn() -> rx.Component:
    return panel(
        _("Most expensive messages"),
        "turns-title",
        rx.el.ol(
            rx.foreach(UsageState.turns, _turn),
            rx.foreach(UsageState.rest, _rest),
            class_name="ranked",
        ),
    )


def _turn(turn: Item) -> rx.Component:
    return rx.el.li(
        page_link(
            rx.cond(turn["name"] != "", turn["name"], _("Show the message")),
            to="/chat?turn=" + turn["turn_id"].to(str),
        ),
        _amounts(turn),
        key=turn["turn_id"],
    )


def _rest(line: Item) -> rx.Component:
    return rx.el.li(rx.el.span(line["name"], class_name="soft"), _amounts(line), key=line["name"])


def _amounts(line: Item) -> rx.Component:
    return rx.el.span(
        rx.el.small(line["tokens"], " ", _("tokens")),
        rx.el.span(line["cost"], class_name="number"),
        class_name="amounts",
    )


def _by_model() -> rx.Component:
    return _ranked(_("By model"), _("Model"), UsageState.models, "models-title")


def _by_kind() -> rx.Component:
    return _ranked(_("By purpose"), _("Purpose"), UsageState.kinds, "kinds-title")


def _ranked(title: str, head: str, lines: rx.Var | list, title_id: str) -> rx.Component:
    return panel(title, title_id, _table(head, lines, "is-ranked"))


def _table(head: str, lines: rx.Var | list, kind: str) -> rx.Component:
    return rx.el.div(
        rx.el.table(
            rx.el.thead(
                rx.el.tr(
                    rx.el.th(head, scope="col"),
                    rx.el.th(_("Calls"), scope="col"),
                    rx.el.th(_("Tokens"), scope="col"),
                    rx.el.th(_("Cost"), scope="col"),
                )
            ),
            rx.el.tbody(rx.foreach(lines, _row)),
        ),
        class_name=f"table-wrap {kind}",
        tab_index=0,
        role="group",
        aria_label=head,
    )


def _row(line: Item) -> rx.Component:
    return rx.el.tr(
        rx.el.th(line["name"], scope="row"),
        rx.el.td(line["calls"], class_name="number"),
        rx.el.td(line["tokens"], class_name="number"),
        rx.el.td(line["cost"], class_name="number"),
        key=line["name"],
    )
