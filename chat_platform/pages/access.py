"""API tokens and sign-ins, on the settings page."""

import reflex as rx

from chat_platform.pages.elements import Item, native_link
from chat_platform.pages.icons import icon
from chat_platform.pages.language import _
from chat_platform.state.access import LIFETIMES_DAYS, AccessState


def tokens() -> rx.Component:
    return rx.el.section(
        rx.el.h2(_("API tokens"), id="tokens-title"),
        rx.el.p(
            _("A token lets a script write to your agent, within the rights that you give it."),
            " ",
            native_link(_("How to use the API"), href="/api/v1/docs"),
            class_name="soft",
        ),
        rx.cond(AccessState.new_token != "", _made()),
        rx.cond(
            AccessState.tokens,
            rx.el.ul(rx.foreach(AccessState.tokens, _token), class_name="rows"),
            rx.el.p(_("No tokens yet."), class_name="soft"),
        ),
        _new_token(),
        class_name="panel stack",
        custom_attrs={"aria-labelledby": "tokens-title"},
    )


def _made() -> rx.Component:
    return rx.el.div(
        rx.el.p(_("Copy the token now: it is shown only this once."), role="status"),
        rx.el.pre(
            rx.el.code(AccessState.new_token, id="new-token"), class_name="copyable", tab_index=0
        ),
        _copy("new-token", _("Copy the token")),
        rx.el.p(_("Try it:")),
        rx.el.pre(rx.el.code(AccessState.curl, id="curl"), class_name="copyable", tab_index=0),
        _copy("curl", _("Copy the command")),
        class_name="notice stack",
    )


def _copy(source_id: str, text: str) -> rx.Component:
    return rx.el.button(
        icon("copy"),
        text,
        type="button",
        class_name="quiet",
        custom_attrs={"data-copy-from": source_id},
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
        rx.el.button(
            _("Revoke"),
            rx.el.span(" ", token["name"], class_name="sr-only"),
            type="button",
            class_name="quiet",
            on_click=AccessState.revoke_token(token["id"]),
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
        rx.cond(
            AccessState.token_problem != "",
            rx.el.p(AccessState.token_problem, role="alert", class_name="notice problem"),
        ),
        rx.el.div(
            rx.el.label(_("Name of the token"), html_for="token-name"),
            rx.el.input(id="token-name", name="name", max_length=100, auto_complete="off"),
            class_name="field",
        ),
        rx.el.fieldset(
            rx.el.legend(_("Rights")),
            *(
                rx.el.label(rx.el.input(type="checkbox", name=f"scope-{scope}", value="1"), name)
                for scope, name in rights
            ),
            class_name="choices",
        ),
        rx.el.div(
            rx.el.label(_("Lifetime"), html_for="token-days"),
            rx.el.select(
                *(
                    rx.el.option(_.many("{number} day", "{number} days", days), value=str(days))
                    for days in LIFETIMES_DAYS
                ),
                rx.el.option(_("Until it is revoked"), value=""),
                id="token-days",
                name="days",
                default_value="90",
            ),
            class_name="field",
        ),
        rx.el.button(_("Make a token"), type="submit"),
        on_submit=AccessState.make_token,
        reset_on_submit=True,
        class_name="stack narrow",
    )


def sign_ins() -> rx.Component:
    return rx.el.section(
        rx.el.h2(_("Where you are signed in"), id="sign-ins-title"),
        rx.el.ul(rx.foreach(AccessState.sign_ins, _sign_in), class_name="rows"),
        class_name="panel stack",
        custom_attrs={"aria-labelledby": "sign-ins-title"},
    )


def _sign_in(sign_in: Item) -> rx.Component:
    return rx.el.li(
        rx.el.div(rx.el.span(sign_in["device"]), rx.el.small(sign_in["seen"])),
        rx.cond(
            sign_in["is_current"],
            rx.el.small(_("This browser")),
            rx.el.button(
                _("End"),
                rx.el.span(" ", sign_in["device"], class_name="sr-only"),
                type="button",
                class_name="quiet",
                on_click=AccessState.end_sign_in(sign_in["id"]),
            ),
        ),
        key=sign_in["id"],
    )
