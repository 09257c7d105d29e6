"""The chat page."""

import reflex as rx

from chat_platform.pages.language import _
from chat_platform.pages.shell import shell


def chat_page() -> rx.Component:
    return shell("/chat", rx.el.h1(_("Chat"), class_name="sr-only"))
