"""The pages for unknown addresses and for server errors."""

import reflex as rx

from chat_platform.pages.elements import native_link
from chat_platform.pages.icons import icon
from chat_platform.pages.language import _
from chat_platform.pages.sign_in import card


def missing_page() -> rx.Component:
    return card(
        rx.el.h1(_("Page not found")),
        rx.el.p(
            _("The link may be outdated or mistyped. Your conversation is still where you left it.")
        ),
        native_link(_("Back to the chat"), href="/chat", class_name="button primary"),
    )


def error_page() -> rx.Component:
    """Shown by the front door when the server failed to serve a page."""
    return card(
        rx.el.h1(_("Something went wrong")),
        rx.el.p(
            _("The problem is on our side. Nothing you wrote has been lost. Try again in a moment.")
        ),
        # The same address again, without scripts.
        native_link(icon("again"), _("Try again"), href="", class_name="button primary"),
    )
