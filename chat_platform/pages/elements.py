"""Small parts that several pages use: forms the browser submits, fields, links."""

from typing import Any

import reflex as rx
from reflex_components_core.el.elements.base import BaseHTML
from reflex_components_core.react_router.dom import ReactRouterLink

from chat_platform.pages.icons import icon
from chat_platform.pages.language import _

Item = rx.vars.ObjectVar[Any]
"""What `rx.foreach` hands over: one TypedDict of a state's list."""


Error = tuple[str, str]
"""A failure's code, and the words for it."""


class NativeForm(BaseHTML):
    """A form that the browser itself submits.

    `rx.el.form` always calls preventDefault; an answer that sets an HttpOnly cookie needs a real
    page load, and signing in must work before the socket connects.
    """

    tag = "form"

    action: rx.Var[str]
    method: rx.Var[str]


class NativeLink(BaseHTML):
    """A link that loads its address: `rx.el.a` asks the router, which knows pages alone."""

    tag = "a"

    href: rx.Var[str]
    download: rx.Var[bool]


native_form = NativeForm.create
native_link = NativeLink.create


def page_link(
    *children: rx.Component | str | rx.Var, to: str | rx.Var, **props: Any
) -> rx.Component:
    """A link inside the app: the next page opens without a full load."""
    return ReactRouterLink.create(*children, to=to, **props)


def error_line(error: Error, class_name: str) -> rx.Component:
    code, words = error
    return rx.el.p(
        words, role="alert", hidden=True, class_name=class_name, custom_attrs={"data-error": code}
    )


def hidden_label(text: str) -> rx.Component:
    return rx.el.span(text, class_name="sr-only")


def field(
    label: str, name: str, *, hint: str = "", errors: tuple[Error, ...] = (), **props: Any
) -> rx.Component:
    """A labelled input with the words of its errors, of which page.js shows the one that is told.

    The words are there from the start, hidden: a text put in by a script before React takes over
    would be thrown away.
    """
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
    )


def told_field(
    label: str, field_id: str, problem: rx.Var | str, *, hint: str = "", **props: Any
) -> rx.Component:
    """A labelled input of a form that the socket carries; `problem` is shown beside it."""
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


def problem_line(problem: rx.Var | str) -> rx.Component:
    """What went wrong with a form or a panel as a whole."""
    return rx.cond(problem != "", rx.el.p(problem, role="alert", class_name="notice problem"))


def panel(title: str, panel_id: str, *children: rx.Component) -> rx.Component:
    """A titled part of a page."""
    return rx.el.section(
        rx.el.h2(title, id=panel_id),
        *children,
        class_name="panel stack",
        custom_attrs={"aria-labelledby": panel_id},
    )


def row_form(field_id: str, label: str, button: str, *more: rx.Component, **props: Any):
    """A form of one search field and its button in a row, labelled for screen readers alone."""
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
    """A dialog with a heading and a way out; page.js opens it for `data-opens`."""
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


def nothing_yet(text: str, *way_on: rx.Component) -> rx.Component:
    """What a list says before there is anything in it, and where things come from."""
    return rx.el.div(rx.el.p(text), *way_on, class_name="nothing-yet")
