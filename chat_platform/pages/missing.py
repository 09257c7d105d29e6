"""What an address without a page shows."""

import reflex as rx

from chat_platform.pages.language import _
from chat_platform.pages.sign_in import card


def missing_page() -> rx.Component:
    return card(
        rx.el.h1(_("There is nothing at this address")),
        rx.el.p(_("The link may be old, or mistyped. Your conversation is where you left it.")),
        rx.el.a(_("Back to the chat"), href="/chat", class_name="button primary"),
    )
