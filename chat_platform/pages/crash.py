"""What stands in the place of a page that broke in the browser."""

from collections.abc import Callable
from functools import wraps

import reflex as rx
from reflex_components_core.base.error_boundary import ErrorBoundary

from chat_platform.pages.elements import native_link
from chat_platform.pages.language import _
from chat_platform.pages.sign_in import card
from chat_platform.state.account import AccountState


def guarded(page: Callable[[], rx.Component]) -> Callable[[], rx.Component]:
    """Return the page inside a boundary: a failure while drawing it shows a way out."""

    # Reflex splits the scripts by the module of the page's function.
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
        rx.el.h1(_("This page broke")),
        rx.el.p(
            _(
                "Your conversation and your memory are safe on the server. Load the page again; if"
                " it breaks once more, tell whoever runs this platform."
            ),
            role="alert",
        ),
        _way_out(_("Load the page again"), "", "button primary"),
        _way_out(_("Back to the chat"), "/chat", "button"),
    )


def _way_out(words: str, href: str, class_name: str) -> rx.Component:
    """A real load with a fresh state: what is broken in this tab goes away with it."""
    return native_link(words, href=href, class_name=class_name, custom_attrs={"data-afresh": ""})
