"""One message of the history. Memoised: while a reply arrives, no older message renders again."""

import reflex as rx

from chat_platform.pages.elements import Item
from chat_platform.pages.icons import icon
from chat_platform.pages.language import _
from chat_platform.pages.receipt import receipt
from chat_platform.state.chat import ChatState
from chat_platform.state.receipt import ReceiptState


def message_row(row: Item) -> rx.Component:
    """Show a row of `ChatState`, and the open receipt under it."""
    return rx.el.li(
        rx.cond(row["starts_day"], rx.el.h2(row["day"], class_name="day")),
        rx.cond(
            row["role"] == "user",
            _question(
                body_id="text-" + row["id"].to(str),
                time=row["time"],
                text=row["text"],
                problem=row["problem"],
                turn=row["turn_id"],
                receipt=row["receipt"],
                stopped=row["is_stopped"],
            ),
            _answer(
                body_id="text-" + row["id"].to(str),
                time=row["time"],
                html=row["html"],
                problem=row["problem"],
                turn=row["turn_id"],
                receipt=row["receipt"],
                stopped=row["is_stopped"],
            ),
        ),
        rx.cond(
            (ReceiptState.open_turn == row["turn_id"]) & (row["receipt"] != ""),
            receipt(),
        ),
        key=row["id"],
        class_name=rx.cond(ChatState.marked_id == row["id"], "row is-marked", "row"),
        custom_attrs={"data-message": row["id"]},
    )


@rx.memo
def _question(
    *,
    body_id: rx.Var[str],
    time: rx.Var[str],
    text: rx.Var[str],
    problem: rx.Var[str],
    turn: rx.Var[str],
    receipt: rx.Var[str],
    stopped: rx.Var[bool],
) -> rx.Component:
    return rx.el.article(
        rx.el.h3(_("You"), class_name="sr-only"),
        rx.el.p(text, id=body_id, class_name="question"),
        rx.cond(stopped, rx.el.p(_("Stopped before an answer arrived."), class_name="aside")),
        _problem(problem, turn),
        rx.el.footer(
            rx.el.time(time),
            _receipt_button(receipt, turn),
            rx.el.button(
                icon("edit"),
                _("Edit and resend"),
                type="button",
                class_name="quiet edit",
                custom_attrs={"data-edit": body_id},
            ),
        ),
        class_name="message by-person",
    )


@rx.memo
def _answer(
    *,
    body_id: rx.Var[str],
    time: rx.Var[str],
    html: rx.Var[str],
    problem: rx.Var[str],
    turn: rx.Var[str],
    receipt: rx.Var[str],
    stopped: rx.Var[bool],
) -> rx.Component:
    return rx.el.article(
        rx.el.h3(_("Your agent"), class_name="sr-only"),
        rx.html(html, id=body_id, class_name="reading"),
        rx.cond(
            stopped, rx.el.p(_("Stopped. The part that arrived has been kept."), class_name="aside")
        ),
        _problem(problem, turn),
        rx.el.footer(
            rx.el.time(time),
            _receipt_button(receipt, turn),
            rx.el.button(
                icon("copy"),
                rx.el.span(_("Copy")),
                type="button",
                class_name="quiet",
                custom_attrs={"data-copy-from": body_id},
            ),
        ),
        class_name="message by-agent",
    )


def _receipt_button(receipt: rx.Var[str], turn: rx.Var[str]) -> rx.Component:
    return rx.cond(
        receipt != "",
        rx.el.button(
            receipt,
            type="button",
            class_name="quiet number",
            title=_("Open the receipt"),
            on_click=ReceiptState.toggle(turn),
            custom_attrs={"data-testid": "receipt"},
        ),
    )


def _problem(problem: rx.Var[str], turn: rx.Var[str]) -> rx.Component:
    return rx.cond(
        problem != "",
        rx.el.div(
            rx.el.p(problem),
            rx.el.button(
                icon("again"), _("Try again"), type="button", on_click=ChatState.try_again(turn)
            ),
            class_name="notice problem with-way-out",
        ),
    )
