"""The chat page: history, the arriving reply, the composer."""

from typing import Any

import reflex as rx

from chat_platform.pages.composer import composer
from chat_platform.pages.elements import hidden_label, native_link
from chat_platform.pages.history import history, newer, older
from chat_platform.pages.icons import icon
from chat_platform.pages.language import _
from chat_platform.pages.search import search_dialog
from chat_platform.pages.shell import shell
from chat_platform.state.chat import ChatState
from chat_platform.state.live import LiveState


def chat_page() -> rx.Component:
    return shell(
        "/chat",
        rx.el.h1(_("Chat"), class_name="sr-only"),
        _tools(),
        rx.el.div(
            rx.el.div(
                older(),
                history(),
                newer(),
                _live(),
                _empty(),
                class_name="column",
            ),
            id="log",
            tab_index=0,
            aria_label=_("Conversation"),
            role="region",
            class_name="log",
        ),
        _to_the_end(),
        composer(),
        search_dialog(),
        # conversation.js announces a finished answer to screen readers here, once.
        rx.el.div(id="announcer", role="status", class_name="sr-only"),
        rx.el.button(id="check", type="button", hidden=True, on_click=ChatState.check),
        main_class="chat",
    )


def _tools() -> rx.Component:
    return rx.el.div(
        rx.el.button(
            icon("search"),
            _("Search"),
            type="button",
            class_name="quiet",
            custom_attrs={"data-opens": "search"},
        ),
        native_link(
            icon("download"),
            _("Export"),
            href="/api/v1/chat/export?format=markdown",
            download=True,
            class_name="button quiet",
        ),
        class_name="chat-tools",
    )


def _to_the_end() -> rx.Component:
    """The way back to the end, from older messages or from further up."""
    return rx.cond(
        ChatState.is_window,
        rx.el.button(
            icon("down"),
            _("Jump to the latest messages"),
            type="button",
            class_name="to-newest",
            on_click=ChatState.show_newest,
        ),
        rx.el.button(
            icon("down"),
            hidden_label(_("Jump to the latest messages")),
            id="to-end",
            type="button",
            hidden=True,
            class_name="to-newest is-round",
            title=_("Jump to the latest messages"),
        ),
    )


def _live() -> rx.Component:
    """The arriving reply. Not a live region: the finished answer is announced, once."""
    return rx.cond(
        LiveState.is_replying & ~ChatState.is_window,
        rx.el.article(
            rx.el.h3(_("Your agent"), class_name="sr-only"),
            rx.el.div(
                # One list: the element with the tail stays in place when it freezes.
                rx.foreach(_blocks_and_tail(), lambda html, n: _block(html=html, key=n)),
                class_name="reading",
            ),
            _doing(),
            class_name="message by-agent is-live",
            custom_attrs={"data-testid": "live"},
        ),
    )


def _blocks_and_tail() -> rx.Var[list[str]]:
    blocks: Any = LiveState.blocks
    return blocks + rx.Var.create([LiveState.tail])


@rx.memo
def _block(rest: rx.RestProp, *, html: rx.Var[str]) -> rx.Component:
    return rx.el.div(rx.html(html), rest, class_name="block")


def _doing() -> rx.Component:
    line = rx.el.span(
        rx.cond(LiveState.doing != "", LiveState.doing, _("Your agent is answering")),
        class_name="doing",
    )
    return rx.cond(
        LiveState.steps,
        rx.el.details(
            rx.el.summary(line),
            rx.el.ol(rx.foreach(LiveState.steps, lambda step: rx.el.li(step))),
            class_name="steps",
        ),
        rx.el.p(line, class_name="steps"),
    )


def _empty() -> rx.Component:
    """What a new person sees: an introduction, and three things to try."""
    tries = [
        _("My name is … and I live in …"),
        _("Remember that I prefer short answers."),
        _("What do you know about me?"),
    ]
    return rx.cond(
        ChatState.is_empty & ~LiveState.is_replying,
        rx.el.section(
            rx.el.h2(_("This is the beginning")),
            rx.el.p(
                _(
                    "Your agent remembers what matters from your conversation. You can read and "
                    "correct its memory, and see what each answer cost."
                ),
                class_name="lead",
            ),
            rx.el.ul(
                *(
                    rx.el.li(rx.el.button(text, type="button", custom_attrs={"data-try": text}))
                    for text in tries
                ),
                class_name="tries",
            ),
            class_name="empty",
        ),
    )
