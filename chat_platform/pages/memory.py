"""The memory page: what the agent remembers, how that changed, and how to edit it."""

import reflex as rx

from chat_platform.pages.archive import archive, start_over
from chat_platform.pages.elements import (
    Item,
    nothing_yet,
    page_link,
    problem_line,
    small_button,
)
from chat_platform.pages.icons import icon
from chat_platform.pages.language import _
from chat_platform.pages.shell import shell
from chat_platform.state.block_history import BlockHistoryState
from chat_platform.state.memory import MemoryState


def memory_page() -> rx.Component:
    return shell(
        "/memory",
        rx.el.header(
            rx.el.h1(_("Memory")),
            rx.el.p(
                _(
                    "Your agent does not reread the whole conversation. Before each answer it "
                    "reads these blocks, and it looks up the rest in its archive. It updates both "
                    "as you talk, and you can correct them here."
                ),
                class_name="lead",
            ),
        ),
        rx.cond(
            MemoryState.problem != "",
            rx.el.div(
                rx.el.p(MemoryState.problem),
                rx.el.button(
                    icon("again"), _("Try again"), type="button", on_click=MemoryState.open
                ),
                role="alert",
                class_name="notice problem with-way-out",
            ),
        ),
        rx.cond(
            ~MemoryState.is_loaded & (MemoryState.problem == ""),
            rx.el.p(_("Loading memory…"), role="status", class_name="soft"),
        ),
        rx.foreach(MemoryState.blocks, _block),
        archive(),
        start_over(),
        main_class="sheet-page",
    )


def _block(block: Item) -> rx.Component:
    return rx.el.section(
        rx.el.div(
            rx.el.h2(block["title"], id="block-" + block["label"].to(str)),
            rx.el.small(block["changed"]),
            class_name="panel-head",
        ),
        rx.el.p(block["about"], class_name="soft"),
        rx.cond(MemoryState.editing == block["label"], _editor(block), _reading(block)),
        rx.cond(BlockHistoryState.label == block["label"], _history(block)),
        key=block["label"],
        class_name="panel",
        custom_attrs={
            "data-block": block["label"],
            "aria-labelledby": "block-" + block["label"].to(str),
        },
    )


def _fill(block: Item) -> rx.Component:
    return rx.el.div(
        rx.el.span(
            rx.el.span(style={"width": block["percent"]}, class_name="gauge-fill"),
            class_name="gauge",
            custom_attrs={"aria-hidden": "true"},
        ),
        rx.el.small(block["fill"]),
        class_name="fill",
    )


def _reading(block: Item) -> rx.Component:
    return rx.el.div(
        rx.cond(
            block["value"] != "",
            rx.el.p(block["value"], class_name="block-text", custom_attrs={"data-value": ""}),
            nothing_yet(_("Nothing yet. Tell your agent something worth remembering.")),
        ),
        _fill(block),
        rx.el.div(
            rx.el.button(
                icon("edit"),
                _("Edit"),
                rx.el.span(" ", block["title"], class_name="sr-only"),
                type="button",
                on_click=MemoryState.edit(block["label"]),
            ),
            small_button(
                _("History"),
                about=block["title"].to(str),
                on_click=BlockHistoryState.toggle(block["label"]),
                custom_attrs={
                    "aria-expanded": rx.cond(
                        BlockHistoryState.label == block["label"], "true", "false"
                    )
                },
            ),
            class_name="actions",
        ),
        class_name="stack",
    )


def _editor(block: Item) -> rx.Component:
    field_id = "edit-" + block["label"].to(str)
    is_mine = (MemoryState.mine != "") | MemoryState.has_conflict
    return rx.el.form(
        problem_line(MemoryState.edit_problem),
        rx.cond(MemoryState.has_conflict, _conflict(block)),
        rx.el.label(
            rx.cond(MemoryState.has_conflict, _("Your version"), _("Text of this block")),
            html_for=field_id,
        ),
        rx.el.textarea(
            id=field_id,
            name="value",
            rows="4",
            auto_focus=True,
            default_value=rx.cond(is_mine, MemoryState.mine, block["value"]),
            key=block["revision"],
            read_only=MemoryState.is_waiting,
            custom_attrs={"data-limit": block["limit"]},
        ),
        # page.js counts while the person types.
        rx.el.output(html_for=field_id, class_name="count", custom_attrs={"aria-live": "off"}),
        rx.el.input(type="hidden", name="label", value=block["label"], read_only=True),
        rx.el.input(type="hidden", name="revision", value=block["revision"], read_only=True),
        rx.el.div(
            rx.cond(
                MemoryState.is_waiting,
                rx.el.p(
                    _("Your agent is answering. Your change will be saved as soon as it finishes."),
                    class_name="notice",
                ),
            ),
            role="status",
        ),
        rx.el.div(
            rx.el.button(
                rx.cond(MemoryState.has_conflict, _("Save my version"), _("Save")),
                type="submit",
                class_name="primary",
                disabled=MemoryState.is_saving,
            ),
            rx.el.button(_("Cancel"), type="button", on_click=MemoryState.stop_editing),
            class_name="actions",
        ),
        on_submit=MemoryState.save,
        class_name="stack",
    )


def _conflict(block: Item) -> rx.Component:
    return rx.el.div(
        rx.el.h3(_("Current text")),
        rx.el.p(block["value"], class_name="block-text"),
        rx.el.p(_("Your version is in the field below."), class_name="soft"),
        class_name="conflict",
    )


def _history(block: Item) -> rx.Component:
    return rx.el.div(
        rx.el.h3(_("History")),
        problem_line(BlockHistoryState.history_problem),
        rx.el.ol(
            rx.foreach(BlockHistoryState.revisions, lambda r: _revision(block, r)),
            class_name="revisions",
        ),
        class_name="stack",
    )


def _revision(block: Item, revision: Item) -> rx.Component:
    return rx.el.li(
        rx.el.p(
            rx.el.strong(revision["cause"]),
            " · ",
            rx.el.time(revision["when"]),
            rx.cond(
                revision["turn_id"] != "",
                rx.el.span(
                    " · ",
                    page_link(_("the message"), to="/chat?turn=" + revision["turn_id"].to(str)),
                ),
            ),
        ),
        rx.html(revision["diff"], class_name="diff"),
        rx.cond(
            revision["is_current"],
            rx.el.small(_("Current version")),
            small_button(
                _("Restore this version"),
                on_click=MemoryState.undo(block["label"], revision["revision"]),
            ),
        ),
        key=revision["position"],
    )
