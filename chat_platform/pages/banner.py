"""The line that tells that the demo model answers; the front door's `data-demo` shows it."""

import reflex as rx

from chat_platform.pages.language import _


def demo_banner() -> rx.Component:
    return rx.el.aside(
        rx.el.strong(_("Demo model.")),
        " ",
        _("For a real one put"),
        " ",
        rx.el.code("GEMINI_API_KEY=…"),
        " ",
        _("into the file"),
        " ",
        rx.el.code(".env"),
        " ",
        _("and start again with"),
        " ",
        rx.el.code("make run"),
        ".",
        aria_label=_("Demo model"),
        class_name="demo-banner",
    )
