"""The search over all messages, in a dialog of the chat page."""

import reflex as rx

from chat_platform.pages.elements import Item
from chat_platform.pages.icons import icon
from chat_platform.pages.language import _
from chat_platform.state.search import SearchState


def search_dialog() -> rx.Component:
    return rx.el.dialog(
        rx.el.div(
            rx.el.h2(_("Search the conversation"), id="search-title"),
            rx.el.button(
                icon("close"),
                type="button",
                class_name="quiet",
                aria_label=_("Close"),
                custom_attrs={"data-closes": ""},
            ),
            class_name="dialog-head",
        ),
        rx.el.form(
            rx.el.label(_("Words to look for"), html_for="search-words", class_name="sr-only"),
            rx.el.input(
                id="search-words",
                name="words",
                type="search",
                placeholder=_("Words to look for"),
                auto_complete="off",
            ),
            rx.el.button(_("Search"), type="submit", class_name="primary"),
            on_submit=SearchState.search,
            class_name="inline-form",
        ),
        rx.el.p(SearchState.outcome, role="status", class_name="soft"),
        rx.el.ol(rx.foreach(SearchState.results, _result), class_name="results"),
        id="search",
        custom_attrs={"aria-labelledby": "search-title"},
    )


def _result(result: Item) -> rx.Component:
    return rx.el.li(
        rx.el.button(
            rx.el.small(result["who"], " · ", result["when"]),
            rx.el.span(result["before"], rx.el.mark(result["match"]), result["after"]),
            type="button",
            class_name="result",
            on_click=SearchState.open_result(result["id"]),
            custom_attrs={"data-closes": ""},
        ),
        key=result["id"],
    )
