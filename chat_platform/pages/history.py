"""The messages of the chat page, kept by messages.js, which receives them in pieces."""

from typing import Any

import reflex as rx
from reflex.vars import VarData

from chat_platform.pages.language import _
from chat_platform.pages.message import message_row
from chat_platform.state.chat import ChatState
from chat_platform.state.rows import Row


class ShownRow(Row):
    """A row as provided by messages.js."""

    starts_day: bool


def history() -> rx.Component:
    return rx.el.ol(
        rx.foreach(_shown("rows", list[ShownRow]), message_row),
        id="messages",
        class_name="messages",
        custom_attrs={
            "data-loaded": rx.cond(ChatState.is_loaded, "true", "false"),
            "data-window": rx.cond(ChatState.is_window, "true", "false"),
        },
    )


def older() -> rx.Component:
    """The button for older messages."""
    show = ChatState.show_older(_shown("first", str))
    return _edge("older", _shown("hasOlder", bool), _("Show older messages"), show)


def newer() -> rx.Component:
    """The button for newer messages, after a section of older ones."""
    show = ChatState.show_newer(_shown("last", str))
    return _edge("newer", ChatState.is_window, _("Show newer messages"), show)


def _edge(edge_id: str, is_there: Any, words: str, show: rx.event.EventType) -> rx.Component:
    """The button that conversation.js clicks when it comes into view."""
    button = rx.el.button(words, id=edge_id, type="button", class_name="quiet edge", on_click=show)
    return rx.cond(is_there, button)


def _shown(name: str, type_: Any) -> Any:
    """Return one of the values that messages.js derives from the pieces."""
    pieces: tuple[Any, ...] = (ChatState.end, ChatState.older, ChatState.newest)
    call = f"const messages = useMessages({', '.join(str(piece) for piece in pieces)});"
    return rx.Var(
        f"messages.{name}",
        _var_type=type_,
        _var_data=VarData.merge(
            *(piece._get_all_var_data() for piece in pieces),
            VarData(imports={"$/public/messages.js": "useMessages"}, hooks={call: None}),
        ),
    )
