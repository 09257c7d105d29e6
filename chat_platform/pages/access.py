"""API tokens and sign-ins, on the settings page."""

import reflex as rx

from chat_platform.accounts.api_tokens import DEFAULT_DAYS, MAX_NAME_CHARACTERS
from chat_platform.pages.elements import (
    Item,
    copy_button,
    days_field,
    native_form,
    native_link,
    nothing_yet,
    panel,
    small_button,
    told_field,
)
from chat_platform.pages.icons import icon
from chat_platform.pages.language import _
from chat_platform.state.access import LIFETIMES_DAYS, AccessState


def tokens() -> rx.Component:
    return panel(
        _("API tokens"),
        "tokens-title",
        rx.el.p(
            _("A token lets a script use your agent, with the permissions you choose."),
            " ",
            native_link(_("How to use the API"), href="/api/v1/docs"),
            class_name="soft",
        ),
        rx.cond(AccessState.new_token != "", _made()),
        rx.cond(
            AccessState.tokens,
            rx.el.ul(rx.foreach(AccessState.tokens, _token), class_name="rows"),
            nothing_yet(
                _(
                    "No tokens yet. Create one below to get a command that messages your agent "
                    "from a terminal."
                )
            ),
        ),
        _new_token(),
    )


def _made() -> rx.Component:
    return rx.el.div(
        rx.el.p(_("Copy the token now. It will not be shown again."), role="status"),
        rx.el.pre(
            rx.el.code(AccessState.new_token, id="new-token"), class_name="copyable", tab_index=0
        ),
        copy_button("new-token", _("Copy the token")),
        rx.el.p(_("Try it:")),
        rx.el.pre(rx.el.code(AccessState.curl, id="curl"), class_name="copyable", tab_index=0),
        copy_button("curl", _("Copy the command")),
        class_name="notice stack",
    )


def _token(token: Item) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.strong(token["name"]),
            " ",
            rx.el.code(token["prefix"], "…"),
            rx.cond(token["is_expired"], rx.el.em(" ", _("expired"))),
            rx.el.small(token["about"]),
        ),
        small_button(
            _("Revoke"), about=token["name"], on_click=AccessState.revoke_token(token["id"])
        ),
        key=token["id"],
    )


def _new_token() -> rx.Component:
    rights = [
        ("chat", _("Chat")),
        ("memory", _("Memory")),
        ("usage", _("Usage")),
    ]
    return rx.el.form(
        told_field(
            _("Token name"),
            "token-name",
            AccessState.name_problem,
            name="name",
            max_length=MAX_NAME_CHARACTERS,
            auto_complete="off",
        ),
        rx.el.fieldset(
            rx.el.legend(_("Permissions")),
            *(
                rx.el.label(rx.el.input(type="checkbox", name=f"scope-{scope}", value="1"), name)
                for scope, name in rights
            ),
            rx.cond(
                AccessState.rights_problem != "",
                rx.el.p(AccessState.rights_problem, role="alert", class_name="field-error"),
            ),
            class_name="choices",
        ),
        days_field(
            _("Expiration"),
            "token-days",
            LIFETIMES_DAYS,
            rx.el.option(_("No expiration"), value=""),
            default_value=str(DEFAULT_DAYS),
        ),
        rx.cond(
            AccessState.needs_password,
            told_field(
                _("Your password"),
                "token-password",
                AccessState.password_problem,
                name="password",
                type="password",
                auto_complete="current-password",
                required=True,
            ),
        ),
        rx.el.button(_("Create a token"), type="submit"),
        on_submit=AccessState.make_token,
        key=AccessState.token_form,
        class_name="stack narrow",
    )


def sign_ins() -> rx.Component:
    return panel(
        _("Where you are signed in"),
        "sign-ins-title",
        rx.el.ul(rx.foreach(AccessState.sign_ins, _sign_in), class_name="rows"),
        rx.cond(
            AccessState.has_others,
            rx.el.div(
                rx.el.button(
                    _("Sign out everywhere else"), type="button", on_click=AccessState.end_others
                ),
                class_name="actions",
            ),
        ),
    )


def _sign_in(sign_in: Item) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.span(sign_in["device"], title=sign_in["told"]), rx.el.small(sign_in["seen"])
        ),
        rx.cond(
            sign_in["is_current"],
            rx.el.div(
                rx.el.small(_("This browser")),
                native_form(
                    rx.el.button(icon("leave"), _("Sign out"), type="submit", class_name="quiet"),
                    action="/api/v1/session/logout",
                    method="post",
                ),
                class_name="actions",
            ),
            small_button(
                _("Sign out"),
                about=sign_in["device"],
                on_click=AccessState.end_sign_in(sign_in["id"]),
            ),
        ),
        key=sign_in["id"],
    )
