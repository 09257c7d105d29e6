"""The messages of the chat page: messages.js keeps them, one new piece at a time."""

from typing import Any

import reflex as rx
from reflex.vars import VarData

from chat_platform.pages.language import _
from chat_platform.pages.message import message_row
from chat_platform.state.chat import ChatState
from chat_platform.state.rows import Row


class ShownRow(Row):
    """A row as messages.js hands it over."""

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
    """The button that conversation.js presses when it comes into view."""
    return rx.cond(
        _shown("hasOlder", bool),
        rx.el.button(
            _("Show older messages"),
            id="older",
            type="button",
            class_name="quiet edge",
            on_click=ChatState.show_older(_shown("first", str)),
        ),
    )


def newer() -> rx.Component:
    """The same at the end of a window of the past."""
    return rx.cond(
        ChatState.is_window,
        rx.el.button(
            _("Show newer messages"),
            id="newer",
            type="button",
            class_name="quiet edge",
            on_click=ChatState.show_newer(_shown("last", str)),
        ),
    )


def _shown(name: str, type_: Any) -> Any:
    """Return one of what messages.js makes of the pieces."""
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
