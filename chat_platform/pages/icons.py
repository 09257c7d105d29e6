"""The icons of buttons and the navigation."""

import reflex as rx

# Drawn on a 20 by 20 grid with one stroke.
_ICONS = {
    "chat": (
        "M3 5.5A1.5 1.5 0 0 1 4.5 4h11A1.5 1.5 0 0 1 17 5.5v7a1.5 1.5 0 0 1-1.5 1.5"
        "H9l-4 3v-3h-.5A1.5 1.5 0 0 1 3 12.5z"
    ),
    "memory": (
        "M5 3.5h8.5A1.5 1.5 0 0 1 15 5v12l-3.5-2.2L8 17V7a3 3 0 0 0-3-3.5zm0 0"
        "A1.8 1.8 0 0 0 3.2 5.3V8H8"
    ),
    "usage": "M4 17V10m4 7V5m4 12v-5m4 5V8M2.5 17h15",
    "settings": "M3 6h8m4 0h2M3 14h2m4 0h8M11 4v4m-6 4v4",
    "admin": "M10 2.8 16 5v4.6c0 3.6-2.4 6.2-6 7.6-3.6-1.4-6-4-6-7.6V5zM7.4 9.8l1.9 1.9 3.4-3.6",
    "search": "M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zm4 9.5 4 4",
    "download": "M10 3v9m-3.5-3.5L10 12l3.5-3.5M4 16.5h12",
    "send": "M10 16V4m-5 5 5-5 5 5",
    "stop": "M6 6h8v8H6z",
    "down": "M10 4v12m-5-5 5 5 5-5",
    "leave": "M8 4H4.5v12H8m4-9 3 3-3 3m3-3H8",
    "copy": "M7 7V4.5h8.5V13H13M4.5 7H13v8.5H4.5z",
    "edit": "M4 16l.7-3.3L13 4.4l2.6 2.6-8.3 8.3z",
    "again": "M15.5 8A6 6 0 1 0 16 11.5M15.8 4v4h-4",
    "close": "M5 5l10 10M15 5 5 15",
}


def icon(name: str) -> rx.Component:
    """An icon beside text; screen readers skip it."""
    return rx.el.svg(
        rx.el.path(d=_ICONS[name]),
        view_box="0 0 20 20",
        class_name="icon",
        custom_attrs={"aria-hidden": "true"},
    )
