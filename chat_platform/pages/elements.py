"""Small parts that several pages use: forms the browser submits, fields, links."""

from typing import Any

import reflex as rx
from reflex_components_core.el.elements.base import BaseHTML
from reflex_components_core.react_router.dom import ReactRouterLink

Item = rx.vars.ObjectVar[Any]
"""What `rx.foreach` hands over: one TypedDict of a state's list."""


class NativeForm(BaseHTML):
    """A form that the browser itself submits.

    `rx.el.form` always calls preventDefault; an answer that sets an HttpOnly cookie needs a real
    page load, and signing in must work before the socket connects.
    """

    tag = "form"

    action: rx.Var[str]
    method: rx.Var[str]


native_form = NativeForm.create


def page_link(
    *children: rx.Component | str | rx.Var, to: str | rx.Var, **props: Any
) -> rx.Component:
    """A link inside the app: the next page opens without a full load."""
    return ReactRouterLink.create(*children, to=to, **props)


def hidden_label(text: str) -> rx.Component:
    return rx.el.span(text, class_name="sr-only")


def field(label: str, name: str, *, hint: str = "", **props: Any) -> rx.Component:
    """A labelled input; page.js puts the error of this field into its <output>."""
    hints = [rx.el.small(hint, id=f"{name}-hint", class_name="hint")] if hint else []
    attributes = {
        "aria-describedby": f"{name}-hint {name}-error" if hint else f"{name}-error",
        **props.pop("custom_attrs", {}),
    }
    return rx.el.div(
        rx.el.label(label, html_for=name),
        rx.el.input(id=name, name=name, custom_attrs=attributes, **props),
        *hints,
        rx.el.p(id=f"{name}-error", role="alert", class_name="field-error"),
        class_name="field",
    )
