"""The banner saying that the demo model answers; shown by the front door's `data-demo`."""

import reflex as rx

from chat_platform.pages.language import _


def demo_banner() -> rx.Component:
    return rx.el.aside(
        rx.el.strong(_("Demo model.")),
        " ",
        _("To use a real one, put"),
        " ",
        rx.el.code("GEMINI_API_KEY=…"),
        " ",
        _("in"),
        " ",
        rx.el.code(".env"),
        " ",
        _("and restart with"),
        " ",
        rx.el.code("make run"),
        ".",
        aria_label=_("Demo model"),
        class_name="demo-banner",
    )
