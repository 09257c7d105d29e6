"""What an address without a page shows."""

import reflex as rx

from chat_platform.pages.elements import native_link
from chat_platform.pages.language import _
from chat_platform.pages.sign_in import card


def missing_page() -> rx.Component:
    return card(
        rx.el.h1(_("There is nothing at this address")),
        rx.el.p(_("The link may be old, or mistyped. Your conversation is where you left it.")),
        native_link(_("Back to the chat"), href="/chat", class_name="button primary"),
    )
