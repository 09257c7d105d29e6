"""What an address without a page shows, and what stands where a page could not be shown."""

import reflex as rx

from chat_platform.pages.elements import native_link
from chat_platform.pages.icons import icon
from chat_platform.pages.language import _
from chat_platform.pages.sign_in import card


def missing_page() -> rx.Component:
    return card(
        rx.el.h1(_("There is nothing at this address")),
        rx.el.p(_("The link may be old, or mistyped. Your conversation is where you left it.")),
        native_link(_("Back to the chat"), href="/chat", class_name="button primary"),
    )


def error_page() -> rx.Component:
    """The front door shows it when the server itself failed to answer for a page."""
    return card(
        rx.el.h1(_("Something went wrong")),
        rx.el.p(
            _("That was our side, not yours. Nothing you wrote is lost. Try again in a moment.")
        ),
        # The same address again, without any script.
        native_link(icon("again"), _("Try again"), href="", class_name="button primary"),
    )
