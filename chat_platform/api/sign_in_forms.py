"""Sign-in for browsers: native forms in, a 303 with an HttpOnly cookie out.

Form input never goes into a URL, since logs and histories keep those: page.js remembers it.
"""

import contextlib
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, BackgroundTasks, Form, Request
from fastapi.responses import RedirectResponse

from chat_platform.accounts import passwords, sign_in
from chat_platform.accounts.password_rule import MAX_READ_CHARACTERS
from chat_platform.accounts.registration import Papers
from chat_platform.accounts.sign_in_rows import (
    LONGEST_SIGN_IN_SECONDS,
    SignedIn,
    end_sign_in,
    open_sign_in,
)
from chat_platform.api.deps import ClientAddress, Ctx, from_our_own_pages, visit_of
from chat_platform.context import AppContext
from chat_platform.errors import NotFound, PlatformError
from chat_platform.values.cookies import delete_sign_in_cookie, set_sign_in_cookie
from chat_platform.values.texts import MAX_LINE_CHARACTERS

router = APIRouter(prefix="/session", tags=["browser forms"], dependencies=[from_our_own_pages])

HOME = "/chat"
Field = Annotated[str, Form(max_length=MAX_LINE_CHARACTERS)]
Password = Annotated[str, Form(max_length=MAX_READ_CHARACTERS)]


@router.post("/login", status_code=303, response_class=RedirectResponse)
async def login(
    ctx: Ctx, request: Request, email: Field = "", password: Password = "", next: Field = ""
) -> RedirectResponse:
    """Sign in; a failure goes back to the form with `?error=<code>`."""
    try:
        signed_in = await sign_in.login(
            ctx, email=email, password=password, visit=visit_of(request, "browser")
        )
    except PlatformError as exc:
        return _back_to(ctx, "/login", exc, next=_local(next))
    return _signed_in(ctx, request, signed_in, to=_local(next) or HOME)


@router.post("/register", status_code=303, response_class=RedirectResponse)
async def register(
    ctx: Ctx,
    request: Request,
    email: Field = "",
    password: Password = "",
    name: Field = "",
    invitation: Field = "",
    setup_code: Field = "",
) -> RedirectResponse:
    """Create an account and sign in, or go to `/confirm?notice=confirmation_required`."""
    try:
        signed_in = await sign_in.register(
            ctx,
            email=email,
            password=password,
            name=name,
            visit=visit_of(request, "browser"),
            papers=Papers(invitation=invitation, setup_code=setup_code),
        )
    except PlatformError as exc:
        return _back_to(ctx, "/register", exc)
    if signed_in is None:
        return _to(ctx, "/confirm", notice="confirmation_required")
    return _signed_in(ctx, request, signed_in, to=HOME)


@router.post("/confirm", status_code=303, response_class=RedirectResponse)
async def confirm(
    ctx: Ctx, request: Request, email: Field = "", code: Field = ""
) -> RedirectResponse:
    """Confirm the address with the code from the email, and sign in."""
    try:
        signed_in = await sign_in.confirm(
            ctx, email=email, code=code, visit=visit_of(request, "browser")
        )
    except PlatformError as exc:
        return _back_to(ctx, "/confirm", exc)
    return _signed_in(ctx, request, signed_in, to=HOME)


@router.post("/confirm/resend", status_code=303, response_class=RedirectResponse)
async def resend_confirmation(
    ctx: Ctx, address: ClientAddress, email: Field = ""
) -> RedirectResponse:
    """Send the code again, if the address is waiting for one."""
    try:
        await sign_in.resend_confirmation(ctx, email, address=address)
    except PlatformError as exc:
        return _back_to(ctx, "/confirm", exc)
    return _to(ctx, "/confirm", notice="code_sent")


@router.post("/forgot", status_code=303, response_class=RedirectResponse)
async def forgot(
    ctx: Ctx, request: Request, address: ClientAddress, later: BackgroundTasks, email: Field = ""
) -> RedirectResponse:
    """Send a one-time code if the address is known, and go to the page to enter it.

    Without a mail server the operator hands it out.
    """
    try:
        to = await passwords.allow_reset(ctx, email, address=address)
    except PlatformError as exc:
        return _back_to(ctx, "/forgot", exc)
    later.add_task(passwords.send_reset, ctx, to)
    notice = "code_sent" if ctx.identity.sends_mail else "no_mail"
    return _to(ctx, "/reset", notice=notice)


@router.post("/reset", status_code=303, response_class=RedirectResponse)
async def reset(
    ctx: Ctx,
    request: Request,
    address: ClientAddress,
    email: Field = "",
    code: Field = "",
    password: Password = "",
) -> RedirectResponse:
    """Set a new password with the code, and sign in."""
    try:
        account = await passwords.reset_password(
            ctx, email=email, code=code, new=password, address=address
        )
        sign_in.ensure_welcome(account)
    except PlatformError as exc:
        return _back_to(ctx, "/reset", exc)
    signed_in = await open_sign_in(ctx, account, visit_of(request, "browser"))
    return _signed_in(ctx, request, signed_in, to=HOME)


@router.post("/logout", status_code=303, response_class=RedirectResponse)
async def logout(ctx: Ctx, request: Request) -> RedirectResponse:
    """End this browser's sign-in; its open websockets lose it too."""
    caller = await sign_in.caller_from_cookie(ctx, request.headers.get("cookie", ""))
    if caller and caller.sign_in_id:
        with contextlib.suppress(NotFound):
            await end_sign_in(ctx, caller.account_id, caller.sign_in_id)
    reply = _to(ctx, "/login", notice="signed_out")
    delete_sign_in_cookie(reply, scheme=request.url.scheme)
    return reply


def _signed_in(
    ctx: AppContext, request: Request, signed_in: SignedIn, *, to: str
) -> RedirectResponse:
    reply = RedirectResponse(ctx.settings.root_path + to, 303)
    set_sign_in_cookie(
        reply, signed_in.secret, scheme=request.url.scheme, seconds=LONGEST_SIGN_IN_SECONDS
    )
    return reply


def _back_to(ctx: AppContext, page: str, error: PlatformError, **kept: str) -> RedirectResponse:
    if error.retry_after_seconds is not None:
        kept["retry_after"] = str(error.retry_after_seconds)
    return _to(ctx, page, error=error.code, **kept)


def _to(ctx: AppContext, page: str, **query: str) -> RedirectResponse:
    given = {name: value for name, value in query.items() if value}
    query_string = urlencode(given, errors="replace")
    return RedirectResponse(f"{ctx.settings.root_path}{page}?{query_string}", 303)


def _local(path: str) -> str:
    """Return the path if it stays on this site, else an empty string."""
    is_local = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if is_local and path.isprintable() else ""
