"""The message field. conversation.js adds the draft, the nonce, Enter and the limit."""

import reflex as rx

from chat_platform.pages.elements import page_link
from chat_platform.pages.icons import icon
from chat_platform.pages.language import _
from chat_platform.state.chat import ChatState
from chat_platform.state.live import LiveState
from chat_platform.turns.control import MAX_MESSAGE_CHARACTERS


def composer() -> rx.Component:
    return rx.el.form(
        _refusal(),
        rx.el.div(
            rx.el.label(_("Message"), html_for="prompt", class_name="sr-only"),
            rx.el.textarea(
                id="prompt",
                name="text",
                rows="1",
                placeholder=_("Message your agent"),
                custom_attrs={
                    "data-max": str(MAX_MESSAGE_CHARACTERS),
                    "aria-describedby": "prompt-limit",
                },
            ),
            rx.el.input(type="hidden", name="nonce"),
            rx.cond(LiveState.is_replying, _stop_button(), _send_button()),
            class_name="composer-box",
        ),
        _limit_line(),
        id="composer",
        class_name="composer",
        on_submit=ChatState.send,
        custom_attrs={
            "data-accepted": ChatState.accepted_nonce,
            "data-refused": ChatState.refused_nonce,
            "data-replying": rx.cond(LiveState.is_replying, "true", "false"),
            "data-account": ChatState.account_id,
            "data-begun": _("Your agent is answering"),
            "data-arrived": _("Answer received"),
        },
    )


def _refusal() -> rx.Component:
    """Why the last message was refused, with a way out if there is one."""
    return rx.cond(
        ChatState.refusal != "",
        rx.el.div(
            rx.el.p(ChatState.refusal),
            rx.cond(
                ChatState.is_over_budget,
                page_link(_("See your usage"), to="/usage", class_name="button"),
            ),
            role="alert",
            class_name="notice problem with-way-out",
        ),
    )


def _stop_button() -> rx.Component:
    return rx.el.button(
        icon("stop"),
        rx.el.span(rx.cond(LiveState.is_stopping, _("Stopping"), _("Stop"))),
        type="button",
        class_name="stop",
        disabled=LiveState.is_stopping,
        on_click=ChatState.stop,
    )


def _send_button() -> rx.Component:
    return rx.el.button(icon("send"), rx.el.span(_("Send")), type="submit", class_name="primary")


def _limit_line() -> rx.Component:
    """Filled by conversation.js: the text is too long, or cannot be sent now."""
    return rx.el.p(
        id="prompt-limit",
        role="status",
        class_name="field-error",
        custom_attrs={
            "data-too-long": _(
                "{count} characters over the limit of {most}.",
                count="{count}",
                most=_.number(MAX_MESSAGE_CHARACTERS),
            ),
            "data-offline": _("Not connected. Your text stays here until you can send it."),
        },
    )
