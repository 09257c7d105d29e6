"""The settings page: name, language, theme, password, data. Tokens and sign-ins: `access`."""

import reflex as rx

from chat_platform.pages.access import sign_ins, tokens
from chat_platform.pages.elements import native_link
from chat_platform.pages.icons import icon
from chat_platform.pages.language import _
from chat_platform.pages.shell import shell
from chat_platform.state.account import AccountState
from chat_platform.state.settings import SettingsState
from chat_platform.web.i18n import LANGUAGE_NAMES


def settings_page() -> rx.Component:
    return shell(
        "/settings",
        rx.el.header(
            rx.el.h1(_("Settings")),
            rx.el.p(AccountState.email, class_name="lead"),
        ),
        _profile(),
        _look(),
        tokens(),
        sign_ins(),
        _password(),
        _data(),
        _deletion(),
        main_class="sheet-page",
    )


def panel(title: str, panel_id: str, *children: rx.Component) -> rx.Component:
    return rx.el.section(
        rx.el.h2(title, id=panel_id),
        *children,
        class_name="panel stack",
        custom_attrs={"aria-labelledby": panel_id},
    )


def _profile() -> rx.Component:
    return panel(
        _("Name"),
        "name-title",
        rx.el.form(
            rx.el.label(_("How your agent calls you"), html_for="name"),
            rx.el.div(
                rx.el.input(
                    id="name",
                    name="name",
                    auto_complete="name",
                    max_length=200,
                    default_value=SettingsState.full_name,
                    key=SettingsState.full_name,
                ),
                rx.el.button(_("Save"), type="submit"),
                class_name="inline-form",
            ),
            on_submit=SettingsState.save_name,
            class_name="field",
        ),
    )


def _look() -> rx.Component:
    languages = [("", _("As the browser")), *LANGUAGE_NAMES.items()]
    themes = [("system", _("As the system")), ("light", _("Light")), ("dark", _("Dark"))]
    return panel(
        _("Language and look"),
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


def _password() -> rx.Component:
    return panel(
        _("Password"),
        "password-title",
        rx.el.form(
            rx.cond(
                SettingsState.password_problem != "",
                rx.el.p(SettingsState.password_problem, role="alert", class_name="notice problem"),
            ),
            rx.el.div(
                rx.el.label(_("Current password"), html_for="current"),
                rx.el.input(
                    id="current",
                    name="current",
                    type="password",
                    auto_complete="current-password",
                    required=True,
                ),
                class_name="field",
            ),
            rx.el.div(
                rx.el.label(_("New password"), html_for="new"),
                rx.el.input(
                    id="new",
                    name="new",
                    type="password",
                    auto_complete="new-password",
                    min_length=8,
                    required=True,
                    custom_attrs={"aria-describedby": "new-hint"},
                ),
                rx.el.small(_("At least 8 characters."), id="new-hint"),
                class_name="field",
            ),
            rx.el.button(_("Change the password"), type="submit"),
            on_submit=SettingsState.change_password,
            reset_on_submit=True,
            class_name="stack narrow",
        ),
    )


def _data() -> rx.Component:
    return panel(
        _("Your data"),
        "data-title",
        rx.el.p(
            _("Everything kept about you: account, messages, memory and every model call."),
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
        _("Delete the account"),
        "deletion-title",
        rx.el.p(
            _(
                "Deletes you, your agent, its memory and the whole conversation. This cannot be "
                "taken back."
            ),
            class_name="soft",
        ),
        rx.el.form(
            rx.cond(
                SettingsState.deletion_problem != "",
                rx.el.p(SettingsState.deletion_problem, role="alert", class_name="notice problem"),
            ),
            rx.el.div(
                rx.el.label(_("Your password, to confirm"), html_for="deletion-password"),
                rx.el.input(
                    id="deletion-password",
                    name="password",
                    type="password",
                    auto_complete="off",
                    required=True,
                ),
                class_name="field",
            ),
            rx.el.button(_("Delete the account"), type="submit", class_name="danger"),
            on_submit=SettingsState.delete_account,
            reset_on_submit=True,
            class_name="stack narrow",
        ),
    )
