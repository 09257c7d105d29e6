"""The frame of every page behind the sign-in: navigation, banner, connection line, notices."""

import reflex as rx
from reflex_components_core.core.banner import has_connection_errors

from chat_platform.pages.banner import demo_banner
from chat_platform.pages.elements import dialog, native_form, native_link, page_link
from chat_platform.pages.icons import icon
from chat_platform.pages.language import _
from chat_platform.state.account import AccountState


def shell(here: str, *children: rx.Component, main_class: str = "") -> rx.Component:
    """Frame a page; `here` is the path marked in the navigation."""
    return rx.el.div(
        native_link(_("Skip to content"), href="#main", class_name="skip-link"),
        demo_banner(),
        _rail(here),
        rx.el.main(*children, id="main", tab_index=-1, class_name=f"main {main_class}"),
        _connecting(),
        _connection(),
        _toast(),
        _shortcuts(),
        _signals(),
        class_name="frame",
    )


def _rail(here: str) -> rx.Component:
    return rx.el.header(
        rx.el.p(rx.el.span(class_name="mark"), _("AI Chat Platform"), class_name="brand"),
        rx.el.nav(
            _item(_("Chat"), "/chat", "chat", here),
            _item(_("Memory"), "/memory", "memory", here),
            _item(_("Usage"), "/usage", "usage", here),
            _item(_("Settings"), "/settings", "settings", here),
            rx.cond(AccountState.is_admin, _item(_("Administration"), "/admin", "admin", here)),
            aria_label=_("Main"),
        ),
        rx.el.div(
            rx.el.span(AccountState.name, class_name="who", custom_attrs={"data-testid": "who"}),
            rx.el.button(
                _("Keyboard shortcuts"),
                type="button",
                class_name="quiet",
                custom_attrs={"data-opens": "shortcuts"},
            ),
            native_form(
                rx.el.button(icon("leave"), _("Sign out"), type="submit", class_name="quiet"),
                action="/api/v1/session/logout",
                method="post",
            ),
            class_name="rail-foot",
        ),
        class_name="rail",
    )


def _item(text: str, to: str, drawing: str, here: str) -> rx.Component:
    marks = {"aria-current": "page"} if to == here else {}
    return page_link(
        icon(drawing),
        text,
        to=to,
        class_name="is-here" if to == here else "",
        custom_attrs={"href": to, **marks},
    )


def _connecting() -> rx.Component:
    """Shown until the server has identified the person."""
    return rx.el.div(
        rx.cond(AccountState.account_id == "", rx.el.p(_("Connecting…"), class_name="connecting")),
        role="status",
    )


def _connection() -> rx.Component:
    return rx.el.div(
        rx.cond(
            has_connection_errors,
            rx.el.p(
                _("Connection lost. Reconnecting… Nothing has been lost."), class_name="connection"
            ),
        ),
        rx.cond(
            AccountState.is_asleep,
            rx.el.p(
                _(
                    "Too many tabs are open. This one is paused and resumes when you come back to "
                    "it."
                ),
                class_name="connection",
            ),
        ),
        # page.js shows it for a moment when the line above disappears.
        rx.el.p(_("Reconnected."), id="regained", hidden=True, class_name="connection is-good"),
        role="status",
    )


def _toast() -> rx.Component:
    return rx.el.div(
        rx.cond(
            AccountState.notice,
            rx.el.div(
                rx.el.span(AccountState.notice),
                rx.el.button(
                    icon("close"),
                    type="button",
                    aria_label=_("Dismiss"),
                    on_click=AccountState.dismiss_notice,
                ),
                key=AccountState.notice_number,
                class_name="toast " + AccountState.notice_kind,
            ),
        ),
        role="status",
    )


def _signals() -> rx.Component:
    """What the server knows about the person, for page.js."""
    return rx.el.div(
        id="signals",
        hidden=True,
        custom_attrs={"data-theme": AccountState.theme, "data-language": AccountState.language},
    )


def _shortcuts() -> rx.Component:
    keys = [
        ("?", _("Show this list")),
        ("/", _("Go to the message field, or to the search field")),
        ("s", _("Search the conversation")),
        ("1 – 4", _("Go to Chat, Memory, Usage, Settings")),
        ("Enter", _("Send the message")),
        ("Shift + Enter", _("New line in the message")),
        ("↑", _("In an empty message field: edit the last message")),
        ("Esc", _("Close a dialog")),
    ]
    return dialog(
        "shortcuts",
        _("Keyboard shortcuts"),
        rx.el.dl(
            *(
                part
                for key, meaning in keys
                for part in (rx.el.dt(rx.el.kbd(key)), rx.el.dd(meaning))
            ),
            class_name="shortcuts",
        ),
    )
