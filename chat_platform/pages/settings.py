"""The settings page: name, language, theme, password, data. Tokens and sign-ins: `access`."""

import reflex as rx

from chat_platform.accounts.password_rule import MIN_CHARACTERS
from chat_platform.accounts.profiles import MAX_NAME_CHARACTERS
from chat_platform.pages.access import sign_ins, tokens
from chat_platform.pages.elements import native_link, new_password_hint, panel, strength, told_field
from chat_platform.pages.icons import icon
from chat_platform.pages.language import _
from chat_platform.pages.shell import shell
from chat_platform.state.account import AccountState
from chat_platform.state.settings import SettingsState
from chat_platform.values.languages import LANGUAGES
from chat_platform.web.i18n import name_of


def settings_page() -> rx.Component:
    return shell(
        "/settings",
        rx.el.header(
            rx.el.h1(_("Settings")),
            rx.el.p(AccountState.email, class_name="lead"),
        ),
        _profile(),
        _look(),
        rx.cond(SettingsState.awaits_setup_code, _setup_code()),
        tokens(),
        sign_ins(),
        _password(),
        _data(),
        _deletion(),
        main_class="sheet-page",
    )


def _profile() -> rx.Component:
    return panel(
        _("Name"),
        "name-title",
        rx.el.form(
            rx.el.label(_("What your agent calls you"), html_for="name"),
            rx.el.div(
                rx.el.input(
                    id="name",
                    name="name",
                    auto_complete="name",
                    max_length=MAX_NAME_CHARACTERS,
                    default_value=SettingsState.full_name,
                    disabled=rx.cond(SettingsState.is_loaded, False, True),
                    key=SettingsState.full_name,
                ),
                rx.el.button(_("Save"), type="submit"),
                class_name="inline-form",
            ),
            on_submit=SettingsState.save_name,
            class_name="field narrow",
        ),
    )


def _look() -> rx.Component:
    languages = [("", _("Browser default")), *((code, name_of(code)) for code in LANGUAGES)]
    themes = [("system", _("System default")), ("light", _("Light")), ("dark", _("Dark"))]
    return panel(
        _("Language and appearance"),
        "look-title",
        rx.el.fieldset(
            rx.el.legend(_("Language")),
            *(
                _choice("language", value, name, SettingsState.chosen_language, _language(value))
                for value, name in languages
            ),
            class_name="choices",
        ),
        rx.el.fieldset(
            rx.el.legend(_("Theme")),
            *(
                _choice("theme", value, name, AccountState.theme, SettingsState.choose_theme(value))
                for value, name in themes
            ),
            class_name="choices",
        ),
    )


def _language(value: str) -> rx.event.EventType:
    return SettingsState.choose_language(value)


def _choice(
    group: str, value: str, name: str, chosen: rx.Var | str, on_choice: rx.event.EventType
) -> rx.Component:
    return rx.el.label(
        rx.el.input(
            type="radio", name=group, value=value, checked=chosen == value, on_change=on_choice
        ),
        name,
    )


def _setup_code() -> rx.Component:
    return panel(
        _("Become an administrator"),
        "setup-title",
        rx.el.p(
            _(
                "If you run this platform, enter the setup code that the server printed when "
                "it first started. To print a new one, use"
            ),
            " ",
            rx.el.code("chat-platform setup-code"),
            class_name="soft",
        ),
        rx.el.form(
            told_field(
                _("Setup code"),
                "setup-code",
                SettingsState.setup_code_problem,
                hint=_("Makes you an administrator. It can be used only once."),
                name="setup_code",
                auto_complete="off",
                auto_capitalize="characters",
                spell_check=False,
                required=True,
            ),
            rx.el.button(_("Become an administrator"), type="submit"),
            on_submit=SettingsState.use_setup_code,
            class_name="stack narrow",
        ),
    )


def _password() -> rx.Component:
    return panel(
        _("Password"),
        "password-title",
        rx.el.form(
            _whose_password(),
            told_field(
                _("Current password"),
                "current",
                SettingsState.current_problem,
                type="password",
                auto_complete="current-password",
                required=True,
            ),
            told_field(
                _("New password"),
                "new",
                SettingsState.new_problem,
                hint=new_password_hint(),
                type="password",
                auto_complete="new-password",
                min_length=MIN_CHARACTERS,
                required=True,
            ),
            strength(),
            rx.el.button(_("Change password"), type="submit"),
            on_submit=SettingsState.change_password,
            key=SettingsState.password_form,
            class_name="stack narrow",
        ),
    )


def _whose_password() -> rx.Component:
    """Tells password managers which account the form belongs to."""
    return rx.el.input(
        type="email",
        name="username",
        auto_complete="username",
        value=AccountState.email,
        read_only=True,
        hidden=True,
        custom_attrs={"aria-hidden": "true"},
    )


def _data() -> rx.Component:
    return panel(
        _("Your data"),
        "data-title",
        rx.el.p(
            _("Everything stored about you: your account, messages, memory and every model call."),
            class_name="soft",
        ),
        rx.el.div(
            native_link(
                icon("download"),
                _("Download everything"),
                href="/api/v1/user/export",
                download=True,
                class_name="button",
            ),
            class_name="actions",
        ),
    )


def _deletion() -> rx.Component:
    return panel(
        _("Delete account"),
        "deletion-title",
        rx.el.p(
            _(
                "Deletes your account, your agent, its memory and the whole conversation. This "
                "cannot be undone."
            ),
            class_name="soft",
        ),
        rx.el.form(
            _whose_password(),
            told_field(
                _("Your password, to confirm"),
                "deletion-password",
                SettingsState.deletion_problem,
                name="password",
                type="password",
                auto_complete="current-password",
                required=True,
            ),
            rx.el.button(_("Delete account"), type="submit", class_name="danger"),
            on_submit=SettingsState.delete_account,
            class_name="stack narrow",
        ),
    )
