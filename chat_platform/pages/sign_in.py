"""Signing in and up: native forms that post to `/api/v1/session/*`, whole before the socket is.

An error comes back as `?error=<code>`; page.js shows the words for it, which are all here.
"""

import reflex as rx

from chat_platform.pages.banner import demo_banner
from chat_platform.pages.elements import error_line, field, native_form, native_link
from chat_platform.pages.language import PAGES_LANGUAGE, _
from chat_platform.web.i18n import LANGUAGE_NAMES

MIN_PASSWORD = 8


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
            native_link(_("Forgotten password?"), href="/forgot"),
            class_name="card-links",
        ),
    )


def register_page() -> rx.Component:
    return card(
        rx.el.h1(_("Create your account")),
        rx.el.p(
            _("You get an agent of your own that remembers what you tell it."), class_name="lead"
        ),
        _notices(),
        native_form(
            field(_("Name"), "name", auto_complete="name", max_length=200),
            _email(),
            _password(_("Password"), "new-password", hint=_("At least 8 characters.")),
            _submit(_("Create account")),
            action="/api/v1/session/register",
            method="post",
        ),
        rx.el.p(
            _("Have an account already?"),
            " ",
            native_link(_("Sign in"), href="/login"),
            class_name="card-links",
        ),
    )


def forgot_page() -> rx.Component:
    return card(
        rx.el.h1(_("Forgotten password")),
        rx.el.p(_("We send you a code that lets you choose a new one."), class_name="lead"),
        _notices(),
        native_form(
            _email(),
            _submit(_("Send the code")),
            action="/api/v1/session/forgot",
            method="post",
        ),
        rx.el.p(native_link(_("Back to signing in"), href="/login"), class_name="card-links"),
    )


def confirm_page() -> rx.Component:
    return card(
        rx.el.h1(_("Confirm your address")),
        rx.el.p(
            _("Open the link in our e-mail, or enter the code that stands in it."),
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
                form_action="/api/v1/session/confirm/resend",
                form_no_validate=True,
            ),
            action="/api/v1/session/confirm",
            method="post",
        ),
        rx.el.p(native_link(_("Back to signing in"), href="/login"), class_name="card-links"),
    )


def reset_page() -> rx.Component:
    return card(
        rx.el.h1(_("Choose a new password")),
        _notices(),
        native_form(
            _email(),
            _code(),
            _password(_("New password"), "new-password", hint=_("At least 8 characters.")),
            _submit(_("Save and sign in")),
            action="/api/v1/session/reset",
            method="post",
        ),
        rx.el.p(native_link(_("Back to signing in"), href="/login"), class_name="card-links"),
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
        _("E-mail"),
        "email",
        errors=(
            ("email_taken", _("This address has an account already. Sign in instead.")),
            ("invalid_email", _("This is not an e-mail address.")),
        ),
        type="email",
        auto_complete="username",
        required=True,
        custom_attrs={"data-query": "email"},
    )


def _code() -> rx.Component:
    return field(
        _("Code from the e-mail"),
        "code",
        errors=(("invalid_code", _("This code is not right, or too old. Ask for a new one.")),),
        auto_complete="one-time-code",
        required=True,
        auto_capitalize="none",
        spell_check=False,
    )


def _password(label: str, purpose: str, *, hint: str = "") -> rx.Component:
    is_new = purpose == "new-password"
    return field(
        label,
        "password",
        errors=(
            ("invalid_credentials", _("E-mail or password is not right.")),
            ("weak_password", _("Choose a password of 8 to 72 characters.")),
        ),
        hint=hint,
        type="password",
        auto_complete=purpose,
        required=True,
        **({"min_length": MIN_PASSWORD} if is_new else {}),
    )


def _submit(text: str) -> rx.Component:
    return rx.el.button(text, type="submit", class_name="button primary wide")


def _notices() -> rx.Component:
    """The words for `?error=` codes that concern no field, and for `?notice=`; all hidden."""
    errors = (
        ("email_not_confirmed", _("Confirm your address first: open the link in our e-mail.")),
        ("registration_closed", _("New accounts are not open here. Ask your administrator.")),
        ("identity_unavailable", _("Signing in is not possible right now. Try again in a moment.")),
        ("too_many_attempts", _("Too many attempts. Wait a little and try again.")),
        ("account_disabled", _("This account is disabled. Write to your administrator.")),
        ("account_deleted", _("Your account is being deleted.")),
        ("cross_site", _("This form came from another site. Try again from here.")),
        ("", _("That did not work. Try again in a moment.")),
    )
    notices = (
        ("confirmation_required", _("Almost there: open the link in the e-mail we sent you.")),
        ("code_sent", _("If the address is known, a code is on its way.")),
        ("no_mail", _("No mail is set up here. Ask whoever runs this platform for a code.")),
        ("signed_out", _("You are signed out.")),
        ("account_deleted", _("Your account is being deleted.")),
    )
    return rx.el.div(
        *(error_line(error, "notice problem") for error in errors),
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
                name,
                href=f"?language={code}",
                lang=code,
                custom_attrs={"aria-current": "true"} if code == PAGES_LANGUAGE else {},
            )
            for code, name in LANGUAGE_NAMES.items()
        ),
        aria_label=_("Language"),
        class_name="languages",
    )
