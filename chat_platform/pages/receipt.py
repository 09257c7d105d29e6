"""The open receipt: one line per model call, adding up to the total."""

import reflex as rx

from chat_platform.pages.elements import Item
from chat_platform.pages.language import _
from chat_platform.state.receipt import ReceiptState


def receipt() -> rx.Component:
    return rx.el.section(
        rx.el.h4(_("What this answer cost")),
        rx.el.ul(rx.foreach(ReceiptState.lines, _line), class_name="slip"),
        rx.el.p(
            rx.el.span(_("Total")),
            rx.el.span(ReceiptState.total, class_name="number", custom_attrs={"data-total": ""}),
            class_name="slip-total",
        ),
        aria_label=_("Receipt"),
        class_name="receipt",
    )


def _line(line: Item) -> rx.Component:
    return rx.el.li(
        rx.el.span(
            line["what"],
            rx.cond(line["note"] != "", rx.el.em(" (", line["note"], ")")),
        ),
        rx.el.span(line["cost"], class_name="number", custom_attrs={"data-cost": ""}),
        rx.el.small(
            line["model"],
            " · ",
            rx.el.span(line["tokens"], title=_("Tokens: input → output")),
            " · ",
            line["seconds"],
        ),
        key=line["id"],
    )
