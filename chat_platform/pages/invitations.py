"""Invitations, on the administration page."""

import reflex as rx

from chat_platform.accounts.invitations import DEFAULT_DAYS
from chat_platform.pages.elements import (
    Item,
    copy_button,
    days_field,
    nothing_yet,
    panel,
    problem_line,
    small_button,
    told_field,
)
from chat_platform.pages.language import _
from chat_platform.state.invitations import LIFETIMES_DAYS, InvitationsState


def invitations() -> rx.Component:
    return panel(
        _("Invitations"),
        "invitations-title",
        rx.el.p(InvitationsState.policy, class_name="soft"),
        problem_line(InvitationsState.invitations_problem),
        rx.cond(InvitationsState.new_link != "", _made()),
        rx.cond(
            InvitationsState.invitations,
            rx.el.ul(rx.foreach(InvitationsState.invitations, _invitation), class_name="rows"),
            nothing_yet(
                _("No one has been invited yet. Create an invitation below and send its link.")
            ),
        ),
        rx.cond(
            InvitationsState.next_before != "",
            small_button(_("Show more"), on_click=InvitationsState.show_more_invitations),
        ),
        _new_invitation(),
    )


def _made() -> rx.Component:
    return rx.el.div(
        rx.el.p(_("Copy the link now and send it. It will not be shown again."), role="status"),
        rx.el.pre(
            rx.el.code(InvitationsState.new_link, id="new-link"),
            class_name="copyable",
            tab_index=0,
        ),
        rx.el.div(copy_button("new-link", _("Copy the link")), class_name="actions"),
        rx.el.p(
            _("Or just the code, for the registration form:"),
            " ",
            rx.el.code(InvitationsState.new_code),
            class_name="soft",
        ),
        class_name="notice stack",
    )


def _invitation(invitation: Item) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.strong(invitation["who"]),
            rx.el.small(invitation["about"]),
        ),
        rx.cond(
            invitation["is_waiting"],
            small_button(
                _("Revoke"),
                about=invitation["who"],
                on_click=InvitationsState.revoke_invitation(invitation["id"]),
            ),
        ),
        key=invitation["id"],
    )


def _new_invitation() -> rx.Component:
    return rx.el.form(
        told_field(
            _("Only for this address"),
            "invitation-email",
            InvitationsState.email_problem,
            hint=_("Leave empty to let anyone with the link use it."),
            name="email",
            type="email",
            auto_complete="off",
        ),
        told_field(
            _("Budget in US dollars"),
            "invitation-budget",
            InvitationsState.budget_problem,
            hint=_("Leave empty for the default budget."),
            name="budget",
            input_mode="decimal",
            auto_complete="off",
        ),
        days_field(
            _("Expiration"), "invitation-days", LIFETIMES_DAYS, default_value=str(DEFAULT_DAYS)
        ),
        rx.el.button(_("Create an invitation"), type="submit"),
        on_submit=InvitationsState.make_invitation,
        key=InvitationsState.invitation_form,
        class_name="stack narrow",
    )
