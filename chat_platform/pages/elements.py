"""Small parts that several pages use: forms the browser submits, fields, links."""

from typing import Any

import reflex as rx
from reflex_components_core.el.elements.base import BaseHTML
from reflex_components_core.react_router.dom import ReactRouterLink

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
