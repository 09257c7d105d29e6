"""The archive and starting over, at the foot of the memory page."""

import reflex as rx

from chat_platform.pages.elements import Item
from chat_platform.pages.language import _
from chat_platform.state.archive import RESET_WORD, ArchiveState


def archive() -> rx.Component:
    return rx.el.section(
        rx.el.h2(_("Archive"), id="archive-title"),
        rx.el.p(
            _("Passages that your agent put aside, to look them up when they matter."),
            class_name="soft",
        ),
        rx.cond(
            ArchiveState.archive_problem != "",
            rx.el.p(ArchiveState.archive_problem, role="alert", class_name="notice problem"),
        ),
        _search(),
        rx.cond(
            ArchiveState.is_empty,
            rx.cond(
                ArchiveState.query != "",
                rx.el.p(_("Nothing like this in the archive."), class_name="soft"),
                rx.el.p(
                    _("Empty so far. Add a first passage, or ask your agent to archive one."),
                    class_name="soft",
                ),
            ),
        ),
        rx.el.ul(rx.foreach(ArchiveState.passages, _passage), class_name="passages"),
        rx.cond(
            ArchiveState.next_before != "",
            rx.el.button(
                _("Show more"), type="button", class_name="quiet", on_click=ArchiveState.show_more
            ),
        ),
        _add(),
        class_name="panel stack",
        custom_attrs={"aria-labelledby": "archive-title"},
    )


def _search() -> rx.Component:
    return rx.el.form(
        rx.el.label(_("Search the archive"), html_for="archive-words", class_name="sr-only"),
        rx.el.input(
            id="archive-words",
            name="words",
            type="search",
            placeholder=_("Search by meaning"),
            auto_complete="off",
        ),
        rx.el.button(_("Search"), type="submit"),
        rx.cond(
            ArchiveState.query != "",
            rx.el.button(
                _("Show all"), type="button", class_name="quiet", on_click=ArchiveState.list_newest
            ),
        ),
        on_submit=ArchiveState.search,
        class_name="inline-form",
    )


def _passage(passage: Item) -> rx.Component:
    return rx.el.li(
        rx.el.p(passage["text"]),
        rx.el.div(
            rx.el.small(passage["when"]),
            rx.el.button(
                _("Delete"),
                rx.el.span(" ", passage["text"], class_name="sr-only"),
                type="button",
                class_name="quiet",
                on_click=ArchiveState.delete(passage["id"]),
            ),
            class_name="actions",
        ),
        key=passage["id"],
    )


def _add() -> rx.Component:
    return rx.el.form(
        rx.el.div(
            rx.el.label(_("Add a passage"), html_for="passage-text"),
            rx.el.textarea(id="passage-text", name="text", rows="2", max_length=8000),
            class_name="field",
        ),
        rx.el.button(_("Add"), type="submit"),
        on_submit=ArchiveState.add,
        reset_on_submit=True,
        class_name="stack",
    )


def start_over() -> rx.Component:
    return rx.el.section(
        rx.el.h2(_("Start over"), id="reset-title"),
        rx.el.p(
            _(
                "Your agent forgets everything: blocks and archive. The conversation stays "
                "readable. This cannot be taken back."
            ),
            class_name="soft",
        ),
        rx.el.form(
            rx.cond(
                ArchiveState.reset_problem != "",
                rx.el.p(ArchiveState.reset_problem, role="alert", class_name="notice problem"),
            ),
            rx.el.div(
                rx.el.label(
                    _("To confirm, type"), " ", rx.el.code(RESET_WORD), html_for="reset-confirm"
                ),
                rx.el.input(id="reset-confirm", name="confirm", auto_complete="off"),
                class_name="field",
            ),
            rx.el.button(_("Forget everything"), type="submit", class_name="danger"),
            on_submit=ArchiveState.start_over,
            reset_on_submit=True,
            class_name="stack narrow",
        ),
        class_name="panel stack",
        custom_attrs={"aria-labelledby": "reset-title"},
    )
