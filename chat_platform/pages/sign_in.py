"""Signing in and registering: native forms that post to `/api/v1/session/*`, without a websocket.

An error comes back as `?error=<code>`; page.js shows its message, which is already in the page.
"""

from typing import Any

import reflex as rx

from chat_platform.accounts import refusals
from chat_platform.accounts.password_rule import MIN_CHARACTERS, weak_password
from chat_platform.accounts.profiles import MAX_NAME_CHARACTERS
from chat_platform.accounts.setup_code import wrong_setup_code
from chat_platform.pages.banner import demo_banner
from chat_platform.pages.elements import (
    error_line,
    field,
    message_line,
    native_form,
    native_link,
    new_password_hint,
    strength,
    words_of,
)
from chat_platform.pages.language import PAGES_LANGUAGE, _
from chat_platform.pages.place import at
from chat_platform.process.rate_limits import too_many_attempts
from chat_platform.values.addresses import invalid_email
from chat_platform.values.languages import LANGUAGES
from chat_platform.web.i18n import name_of


def login_page() -> rx.Component:
    return card(
        rx.el.h1(_("Welcome back")),
        _notices(),
        native_form(
            _email(),
            _password(_("Password"), "current-password"),
            rx.el.input(type="hidden", name="next", custom_attrs={"data-query": "next"}),
            _submit(_("Sign in")),
            action="/api/v1/session/login",
            method="post",
        ),
        rx.el.p(
            native_link(_("Create an account"), href="/register"),
            native_link(_("Forgot your password?"), href="/forgot"),
            class_name="card-links",
        ),
    )


def register_page() -> rx.Component:
    return card(
        rx.el.h1(_("Create your account")),
        rx.el.p(_("You get your own agent that remembers what you tell it."), class_name="lead"),
        _notices(),
        native_form(
            field(_("Name"), "name", auto_complete="name", max_length=MAX_NAME_CHARACTERS),
            _email(),
            _password(_("Password"), "new-password"),
            _invitation(),
            _setup_code(),
            _submit(_("Create account")),
            action="/api/v1/session/register",
            method="post",
        ),
        rx.el.p(
            _("Already have an account?"),
            " ",
            native_link(_("Sign in"), href="/login"),
            class_name="card-links",
        ),
    )


def forgot_page() -> rx.Component:
    return card(
        rx.el.h1(_("Forgot your password?")),
        rx.el.p(_("We will email you a code to set a new one."), class_name="lead"),
        _notices(),
        native_form(
            _email(),
            _submit(_("Send the code")),
            action="/api/v1/session/forgot",
            method="post",
        ),
        rx.el.p(native_link(_("Back to sign-in"), href="/login"), class_name="card-links"),
    )


def confirm_page() -> rx.Component:
    return card(
        rx.el.h1(_("Confirm your email address")),
        rx.el.p(
            _("Open the link in the email we sent you, or enter the code from it."),
            class_name="lead",
        ),
        _notices(),
        native_form(
            _email(),
            _code(),
            _submit(_("Confirm and sign in")),
            rx.el.button(
                _("Send the code again"),
                type="submit",
                class_name="quiet wide",
                form_action=at("/api/v1/session/confirm/resend"),
                form_no_validate=True,
            ),
            action="/api/v1/session/confirm",
            method="post",
        ),
        rx.el.p(native_link(_("Back to sign-in"), href="/login"), class_name="card-links"),
    )


def reset_page() -> rx.Component:
    return card(
        rx.el.h1(_("Choose a new password")),
        _notices(),
        native_form(
            _email(),
            _code(),
            _password(_("New password"), "new-password"),
            _submit(_("Save and sign in")),
            action="/api/v1/session/reset",
            method="post",
        ),
        rx.el.p(native_link(_("Back to sign-in"), href="/login"), class_name="card-links"),
    )


def card(*children: rx.Component) -> rx.Component:
    """The frame of pages for people who are not signed in."""
    return rx.el.div(
        demo_banner(),
        rx.el.main(
            rx.el.p(rx.el.span(class_name="mark"), _("AI Chat Platform"), class_name="brand"),
            *children,
            class_name="card",
        ),
        rx.el.footer(_languages(), class_name="card-foot"),
        class_name="card-page",
    )


def _email() -> rx.Component:
    return field(
        _("Email"),
        "email",
        errors=(refusals.email_taken(), invalid_email(), refusals.domain_not_allowed()),
        type="email",
        auto_complete="username",
        required=True,
        custom_attrs={"data-typed": "email"},
    )


def _code() -> rx.Component:
    return field(
        _("Code from the email"),
        "code",
        errors=(refusals.invalid_code(),),
        auto_complete="one-time-code",
        required=True,
        auto_capitalize="none",
        spell_check=False,
    )


def _password(label: str, purpose: str) -> rx.Component:
    is_new = purpose == "new-password"
    limits: dict[str, Any] = {"min_length": MIN_CHARACTERS} if is_new else {}
    typed = field(
        label,
        "password",
        errors=(refusals.invalid_credentials(), weak_password()),
        hint=new_password_hint() if is_new else "",
        type="password",
        auto_complete=purpose,
        required=True,
        **limits,
    )
    return rx.fragment(typed, strength()) if is_new else typed


def _invitation() -> rx.Component:
    return field(
        _("Invitation"),
        "invitation",
        hint=_("The code from your invitation. If you do not have one, ask your administrator."),
        errors=(refusals.invitation_needed(),),
        shown_with="invitation",
        auto_complete="off",
        auto_capitalize="characters",
        spell_check=False,
        custom_attrs={"data-query": "invitation", "data-typed": "invitation"},
    )


def _setup_code() -> rx.Component:
    """For the operator: the server prints a link with it when it starts."""
    return field(
        _("Setup code"),
        "setup_code",
        hint=_("Makes you an administrator. It can be used only once."),
        errors=(wrong_setup_code(),),
        shown_with="setup_code",
        auto_complete="off",
        auto_capitalize="characters",
        spell_check=False,
        custom_attrs={"data-query": "setup_code", "data-typed": "setup_code"},
    )


def _submit(text: str) -> rx.Component:
    return rx.el.button(text, type="submit", class_name="button primary wide")


def _notices() -> rx.Component:
    """The messages for `?error=` codes without a field, and for `?notice=`; all hidden."""
    errors = (
        refusals.email_not_confirmed(),
        refusals.registration_closed(),
        refusals.identity_unavailable(),
        refusals.account_disabled(),
        refusals.account_deleted(),
        refusals.cross_site(),
        too_many_attempts(),
    )
    notices = (
        ("confirmation_required", _("Almost there: open the link in the email we sent you.")),
        ("code_sent", _("If this address has an account, we have sent it a code.")),
        ("no_mail", _("Email is not set up here. Ask your administrator for a code.")),
        ("signed_out", _("You are signed out.")),
        ("account_deleted", words_of(refusals.account_deleted())),
    )
    return rx.el.div(
        *(error_line(error, "notice problem") for error in errors),
        message_line("", _("That did not work. Try again in a moment."), "notice problem"),
        *(
            rx.el.p(
                words,
                role="status",
                hidden=True,
                class_name="notice",
                custom_attrs={"data-notice": code},
            )
            for code, words in notices
        ),
        id="form-notices",
    )


def _languages() -> rx.Component:
    return rx.el.nav(
        *(
            native_link(
                name_of(code),
                href=f"?language={code}",
                lang=code,
                custom_attrs={"aria-current": "true"} if code == PAGES_LANGUAGE else {},
            )
            for code in LANGUAGES
        ),
        aria_label=_("Language"),
        class_name="languages",
    )
