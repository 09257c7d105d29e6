"""The archive and the reset, at the bottom of the memory page."""

import reflex as rx

from chat_platform.agents.archive import MAX_PASSAGE_CHARACTERS
from chat_platform.pages.elements import (
    Item,
    nothing_yet,
    panel,
    problem_line,
    row_form,
    small_button,
    told_field,
)
from chat_platform.pages.language import _
from chat_platform.state.archive import RESETS, ArchiveState


def archive() -> rx.Component:
    return panel(
        _("Archive"),
        "archive-title",
        rx.el.p(
            _("Passages your agent has saved, to look up when they matter."),
            class_name="soft",
        ),
        problem_line(ArchiveState.archive_problem),
        _search(),
        rx.cond(ArchiveState.is_empty, _nothing()),
        rx.el.ul(rx.foreach(ArchiveState.passages, _passage), class_name="passages"),
        rx.cond(
            ArchiveState.next_before != "",
            small_button(_("Show more"), on_click=ArchiveState.show_more),
        ),
        _add(),
    )


def _search() -> rx.Component:
    return row_form(
        "archive-words",
        _("Search by meaning"),
        _("Search"),
        rx.cond(
            ArchiveState.query != "",
            small_button(_("Show all"), on_click=ArchiveState.list_newest),
        ),
        on_submit=ArchiveState.search,
    )


def _nothing() -> rx.Component:
    return rx.cond(
        ArchiveState.query != "",
        nothing_yet(_("No matching passages in the archive.")),
        nothing_yet(
            _(
                "The archive is empty. Add the first passage, or ask your agent to archive "
                "something."
            )
        ),
    )


def _passage(passage: Item) -> rx.Component:
    return rx.el.li(
        rx.el.p(passage["text"]),
        rx.el.div(
            rx.el.small(passage["when"]),
            rx.cond(
                ArchiveState.doubtful == passage["id"],
                rx.el.span(
                    rx.el.small(_("Delete permanently?"), role="status"),
                    rx.el.button(
                        _("Delete"),
                        type="button",
                        class_name="small danger",
                        auto_focus=True,
                        on_click=ArchiveState.delete(passage["id"]),
                    ),
                    small_button(_("Keep"), on_click=ArchiveState.doubt("")),
                    class_name="actions",
                ),
                small_button(
                    _("Delete"),
                    about=passage["text"].to(str),
                    on_click=ArchiveState.doubt(passage["id"]),
                ),
            ),
            class_name="actions",
        ),
        key=passage["id"],
    )


def _add() -> rx.Component:
    return rx.el.form(
        rx.el.div(
            rx.el.label(_("Add a passage"), html_for="passage-text"),
            rx.el.textarea(
                id="passage-text",
                name="text",
                rows="2",
                max_length=MAX_PASSAGE_CHARACTERS,
                required=True,
            ),
            class_name="field",
        ),
        problem_line(ArchiveState.add_problem),
        rx.el.div(rx.el.button(_("Add"), type="submit"), class_name="actions"),
        on_submit=ArchiveState.add,
        key=ArchiveState.add_form,
        class_name="stack",
    )


def start_over() -> rx.Component:
    return panel(
        _("Start over"),
        "reset-title",
        rx.el.form(
            rx.el.fieldset(
                rx.el.legend(_("What to reset")),
                _kind(
                    "memory",
                    _("Memory only"),
                    _(
                        "The blocks return to their original text, and the archive is emptied. "
                        "Your agent can still see your latest messages."
                    ),
                ),
                _kind(
                    "agent",
                    _("The whole agent"),
                    _(
                        "A new agent that knows nothing about you takes its place. You can still "
                        "read the conversation."
                    ),
                ),
                class_name="kinds",
            ),
            told_field(
                _("To confirm, type “{word}”", word=_("reset")),
                "reset-confirm",
                ArchiveState.reset_problem,
                name="confirm",
                auto_complete="off",
                auto_capitalize="none",
            ),
            rx.el.p(_("This cannot be undone."), class_name="soft"),
            rx.el.button(_("Reset"), type="submit", class_name="danger"),
            on_submit=ArchiveState.start_over,
            key=ArchiveState.reset_form,
            class_name="stack narrow",
        ),
    )


def _kind(value: str, name: str, meaning: str) -> rx.Component:
    return rx.el.label(
        rx.el.input(type="radio", name="what", value=value, default_checked=value == RESETS[0]),
        rx.el.span(name, rx.el.small(meaning)),
    )
