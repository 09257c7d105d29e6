"""Small components shared by several pages: native forms, fields, links."""

from collections.abc import Iterable
from typing import Any

import reflex as rx
from reflex_components_core.el.elements.base import BaseHTML
from reflex_components_core.react_router.dom import ReactRouterLink

from chat_platform.accounts.password_rule import MIN_CHARACTERS
from chat_platform.errors import PlatformError
from chat_platform.pages.icons import icon
from chat_platform.pages.language import _
from chat_platform.pages.place import at
from chat_platform.web.error_words import error_words
from chat_platform.web.i18n import UTC_ZONE

Item = rx.vars.ObjectVar[Any]
"""An item passed by `rx.foreach`: a TypedDict of a state's list."""


class NativeForm(BaseHTML):
    """A form that the browser itself submits.

    `rx.el.form` always calls preventDefault; a response that sets an HttpOnly cookie needs a real
    page load, and signing in must work before the websocket connects.
    """

    tag = "form"

    action: rx.Var[str]
    method: rx.Var[str]


class NativeLink(BaseHTML):
    """A link with a full page load: `rx.el.a` uses the router, which knows only pages."""

    tag = "a"

    href: rx.Var[str]
    download: rx.Var[bool]


def native_form(*children: Any, action: str, **props: Any) -> rx.Component:
    return NativeForm.create(*children, action=at(action), **props)


def native_link(*children: Any, href: str, **props: Any) -> rx.Component:
    return NativeLink.create(*children, href=at(href), **props)


def page_link(
    *children: rx.Component | str | rx.Var, to: str | rx.Var, **props: Any
) -> rx.Component:
    """A link inside the app: the next page opens without a full load."""
    return ReactRouterLink.create(*children, to=to, **props)


def words_of(error: PlatformError) -> str:
    return error_words(_, UTC_ZONE, error)


def error_line(error: PlatformError, class_name: str) -> rx.Component:
    """The hidden message of an error; page.js finds it by the error's code."""
    return message_line(error.code, words_of(error), class_name)


def message_line(code: str, words: str, class_name: str) -> rx.Component:
    return rx.el.p(
        words, role="alert", hidden=True, class_name=class_name, custom_attrs={"data-error": code}
    )


def hidden_label(text: str) -> rx.Component:
    return rx.el.span(text, class_name="sr-only")


def field(
    label: str,
    name: str,
    *,
    hint: str = "",
    errors: tuple[PlatformError, ...] = (),
    shown_with: str = "",
    **props: Any,
) -> rx.Component:
    """A labelled input with its error messages; page.js shows the one that applies.

    The messages are there from the start, hidden: a text inserted by a script before React hydrates
    would be lost. With `shown_with` the whole field is hidden until page.js finds this name in the
    URL or in the server's response.
    """
    seen = {"hidden": True, "custom_attrs": {"data-shown-with": shown_with}} if shown_with else {}
    hints = [rx.el.small(hint, id=f"{name}-hint", class_name="hint")] if hint else []
    attributes = {
        "aria-describedby": f"{name}-hint {name}-error" if hint else f"{name}-error",
        **props.pop("custom_attrs", {}),
    }
    return rx.el.div(
        rx.el.label(label, html_for=name),
        rx.el.input(id=name, name=name, custom_attrs=attributes, **props),
        *hints,
        rx.el.div(*(error_line(e, "field-error") for e in errors), id=f"{name}-error"),
        class_name="field",
        **seen,
    )


def told_field(
    label: str, field_id: str, problem: rx.Var | str, *, hint: str = "", **props: Any
) -> rx.Component:
    """A labelled input of a form sent over the websocket; `problem` is shown beside it."""
    described = f"{field_id}-hint {field_id}-error" if hint else f"{field_id}-error"
    hints = [rx.el.small(hint, id=f"{field_id}-hint", class_name="hint")] if hint else []
    attributes = {
        "aria-describedby": described,
        "aria-invalid": rx.cond(problem != "", "true", "false"),
    }
    return rx.el.div(
        rx.el.label(label, html_for=field_id),
        rx.el.input(id=field_id, custom_attrs=attributes, **{"name": field_id, **props}),
        *hints,
        rx.el.div(
            rx.cond(problem != "", rx.el.p(problem, role="alert", class_name="field-error")),
            id=f"{field_id}-error",
        ),
        class_name="field",
    )


def new_password_hint() -> str:
    return _(
        "At least {fewest} characters. Three or four unrelated words are easy to remember.",
        fewest=_.number(MIN_CHARACTERS),
    )


def strength() -> rx.Component:
    """The strength of the form's new password; page.js updates it while the person types."""
    return rx.el.p(
        class_name="strength hint",
        aria_live="polite",
        custom_attrs={
            "data-weak": _("Easy to guess. Add unrelated words."),
            "data-fair": _("Fair. Another word makes it strong."),
            "data-strong": _("Strong."),
        },
    )


def problem_line(problem: rx.Var | str) -> rx.Component:
    """The error of a form or panel as a whole."""
    return rx.cond(problem != "", rx.el.p(problem, role="alert", class_name="notice problem"))


def panel(title: str, panel_id: str, *children: rx.Component) -> rx.Component:
    """A titled section of a page."""
    return rx.el.section(
        rx.el.h2(title, id=panel_id),
        *children,
        class_name="panel stack",
        custom_attrs={"aria-labelledby": panel_id},
    )


def row_form(field_id: str, label: str, button: str, *more: rx.Component, **props: Any):
    """A search field and its button in a row, with a label for screen readers only."""
    return rx.el.form(
        rx.el.label(label, html_for=field_id, class_name="sr-only"),
        rx.el.input(
            id=field_id, name="words", type="search", placeholder=label, auto_complete="off"
        ),
        rx.el.button(button, type="submit"),
        *more,
        class_name="inline-form",
        **props,
    )


def dialog(dialog_id: str, title: str, *children: rx.Component) -> rx.Component:
    """A dialog with a heading and a close button; page.js opens it for `data-opens`."""
    title_id = f"{dialog_id}-title"
    return rx.el.dialog(
        rx.el.div(
            rx.el.h2(title, id=title_id),
            rx.el.button(
                icon("close"),
                type="button",
                class_name="quiet",
                aria_label=_("Close"),
                custom_attrs={"data-closes": ""},
            ),
            class_name="dialog-head",
        ),
        *children,
        id=dialog_id,
        custom_attrs={"aria-labelledby": title_id},
    )


def small_button(*children: rx.Component | rx.Var | str, about: rx.Var | str = "", **props: Any):
    """A quiet button in a row; `about` tells screen readers which row it belongs to."""
    named = [rx.el.span(" ", about, class_name="sr-only")] if isinstance(about, rx.Var) else []
    return rx.el.button(*children, *named, type="button", class_name="quiet", **props)


def copy_button(source_id: str, text: str) -> rx.Component:
    """A button that copies the text of the element with this id, through page.js."""
    return rx.el.button(
        icon("copy"),
        text,
        type="button",
        class_name="quiet",
        custom_attrs={"data-copy-from": source_id},
    )


def days_field(
    label: str, field_id: str, lifetimes: Iterable[int], *more: rx.Component, default_value: str
) -> rx.Component:
    """A select for an expiration in days; `more` are additional options."""
    days = (
        rx.el.option(_.many("{number} day", "{number} days", number), value=str(number))
        for number in lifetimes
    )
    return rx.el.div(
        rx.el.label(label, html_for=field_id),
        rx.el.select(*days, *more, id=field_id, name="days", default_value=default_value),
        class_name="field",
    )


def nothing_yet(text: str, *way_on: rx.Component) -> rx.Component:
    """The placeholder of an empty list, saying how to fill it."""
    return rx.el.div(rx.el.p(text), *way_on, class_name="nothing-yet")
