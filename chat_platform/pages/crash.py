"""What replaces a page that crashed in the browser."""

from collections.abc import Callable
from functools import wraps

import reflex as rx
from reflex_components_core.base.error_boundary import ErrorBoundary

from chat_platform.pages.elements import native_link
from chat_platform.pages.language import _
from chat_platform.pages.sign_in import card
from chat_platform.state.account import AccountState


def guarded(page: Callable[[], rx.Component]) -> Callable[[], rx.Component]:
    """Return the page inside an error boundary: a crash while rendering shows a way out."""

    # Reflex splits the scripts by the module of the page function.
    @wraps(page)
    def guarded_page() -> rx.Component:
        return ErrorBoundary.create(
            page(),
            fallback_render=rx.Var.create(_crashed()),
            on_error=lambda error, _info: AccountState.report_crash(error),
        )

    return guarded_page


def _crashed() -> rx.Component:
    return card(
        rx.el.h1(_("This page has crashed")),
        rx.el.p(
            _(
                "Your conversation and your memory are safe on the server. Reload the page. If "
                "it crashes again, tell your administrator."
            ),
            role="alert",
        ),
        _way_out(_("Reload the page"), "", "button primary"),
        _way_out(_("Back to the chat"), "/chat", "button"),
    )


def _way_out(words: str, href: str, class_name: str) -> rx.Component:
    """A full page load with fresh state, which clears whatever is broken in this tab."""
    return native_link(words, href=href, class_name=class_name, custom_attrs={"data-afresh": ""})
