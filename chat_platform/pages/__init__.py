"""The pages: functions that return components. What they show lives in `state`."""

from typing import Any

import reflex as rx

from chat_platform.pages.admin import admin_page
from chat_platform.pages.chat import chat_page
from chat_platform.pages.crash import guarded
from chat_platform.pages.language import _
from chat_platform.pages.memory import memory_page
from chat_platform.pages.missing import error_page, missing_page
from chat_platform.pages.operations import operations_page
from chat_platform.pages.place import at
from chat_platform.pages.settings import settings_page
from chat_platform.pages.sign_in import (
    confirm_page,
    forgot_page,
    login_page,
    register_page,
    reset_page,
)
from chat_platform.pages.usage import usage_page
from chat_platform.state.access import AccessState
from chat_platform.state.account import AccountState
from chat_platform.state.admin import AdminState
from chat_platform.state.archive import ArchiveState
from chat_platform.state.chat import ChatState
from chat_platform.state.invitations import InvitationsState
from chat_platform.state.memory import MemoryState
from chat_platform.state.operations import OperationsState
from chat_platform.state.settings import SettingsState
from chat_platform.state.usage import UsageState

_SCRIPTS = ("/page.js", "/conversation.js")


def head() -> list[rx.Component]:
    """What every page's <head> has besides its title."""
    scripts = (rx.el.script(src=at(name), type="module") for name in _SCRIPTS)
    return [
        rx.el.link(rel="icon", href=at("/favicon.svg"), type="image/svg+xml"),
        rx.el.meta(name="theme-color", content="#0e4b43"),
        *scripts,
    ]


def add_pages(app: rx.App) -> None:
    """Register every page with the app."""
    load = AccountState.load
    _add(app, "/login", login_page, _("Sign in"))
    _add(app, "/register", register_page, _("Create your account"))
    _add(app, "/confirm", confirm_page, _("Confirm your email address"))
    _add(app, "/forgot", forgot_page, _("Forgot your password?"))
    _add(app, "/reset", reset_page, _("New password"))
    _add(app, "/chat", chat_page, _("Chat"), [load, ChatState.open])
    _add(
        app, "/memory", memory_page, _("Memory"), [load, MemoryState.open, ArchiveState.list_newest]
    )
    _add(app, "/usage", usage_page, _("Usage"), [load, UsageState.open])
    _add(
        app, "/settings", settings_page, _("Settings"), [load, SettingsState.open, AccessState.open]
    )
    _add(
        app,
        "/admin",
        admin_page,
        _("Administration"),
        [load, AdminState.open, InvitationsState.open],
    )
    _add(app, "/operations", operations_page, _("Operations"), [load, OperationsState.open])
    _add(app, "/404", missing_page, _("Page not found"))
    _add(app, "/error", error_page, _("Something went wrong"))


def _add(app: rx.App, route: str, body: Any, title: str, on_load: list[Any] | None = None) -> None:
    app.add_page(
        guarded(body),
        route=route,
        title=f"{title} · {_('AI Chat Platform')}",
        on_load=on_load or [],
    )
