"""The search over all messages, in a dialog of the chat page."""

import reflex as rx

from chat_platform.pages.elements import Item, dialog, row_form
from chat_platform.pages.language import _
from chat_platform.state.search import SearchState


def search_dialog() -> rx.Component:
    return dialog(
        "search",
        _("Search the conversation"),
        row_form("search-words", _("Search terms"), _("Search"), on_submit=SearchState.search),
        rx.el.p(SearchState.outcome, role="status", class_name="soft"),
        rx.el.ol(rx.foreach(SearchState.results, _result), class_name="results"),
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
