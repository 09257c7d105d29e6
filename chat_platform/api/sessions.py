"""Sign-in for browsers: native forms in, a 303 with an HttpOnly cookie out."""

import contextlib
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, BackgroundTasks, Form, Request
from fastapi.responses import RedirectResponse

from chat_platform import password_change, sign_in
from chat_platform.api.deps import ClientAddress, Ctx, from_our_own_pages, visit_of
from chat_platform.errors import NotFound, PlatformError
from chat_platform.sign_in import COOKIE
from chat_platform.sign_ins import SIGN_IN_SECONDS, SignedIn, end_sign_in, open_sign_in

router = APIRouter(prefix="/session", tags=["browser forms"], dependencies=[from_our_own_pages])

HOME = "/chat"
Field = Annotated[str, Form(max_length=1000)]


@router.post("/login", status_code=303, response_class=RedirectResponse)
async def login(
    ctx: Ctx, request: Request, email: Field = "", password: Field = "", next: Field = ""
) -> RedirectResponse:
    """Sign in; a failure goes back to the form with `?error=<code>` and the address kept."""
    try:
        signed_in = await sign_in.login(
            ctx, email=email, password=password, visit=visit_of(request, "browser")
        )
    except PlatformError as exc:
        return _back_to("/login", exc, email=email, next=_local(next))
    return _signed_in(request, signed_in, to=_local(next) or HOME)


@router.post("/register", status_code=303, response_class=RedirectResponse)
async def register(
    ctx: Ctx, request: Request, email: Field = "", password: Field = "", name: Field = ""
) -> RedirectResponse:
    """Make an account and sign in, or go to `/confirm?notice=confirmation_required`."""
    try:
        signed_in = await sign_in.register(
            ctx,
            email=email,
            password=password,
            name=name,
            visit=visit_of(request, "browser"),
        )
    except PlatformError as exc:
        return _back_to("/register", exc, email=email, name=name)
    if signed_in is None:
        return _to("/confirm", notice="confirmation_required", email=email)
    return _signed_in(request, signed_in, to=HOME)


@router.post("/confirm", status_code=303, response_class=RedirectResponse)
async def confirm(
    ctx: Ctx, request: Request, email: Field = "", code: Field = ""
) -> RedirectResponse:
    """Confirm the address with the code from the mail, and sign in."""
    try:
        signed_in = await sign_in.confirm(
            ctx, email=email, code=code, visit=visit_of(request, "browser")
        )
    except PlatformError as exc:
        return _back_to("/confirm", exc, email=email)
    return _signed_in(request, signed_in, to=HOME)


@router.post("/confirm/resend", status_code=303, response_class=RedirectResponse)
async def resend_confirmation(
    ctx: Ctx, address: ClientAddress, email: Field = ""
) -> RedirectResponse:
    """Send the code again, if the address waits for it."""
    try:
        await sign_in.resend_confirmation(ctx, email, address=address)
    except PlatformError as exc:
        return _back_to("/confirm", exc, email=email)
    return _to("/confirm", notice="code_sent", email=email)


@router.post("/forgot", status_code=303, response_class=RedirectResponse)
async def forgot(
    ctx: Ctx, request: Request, address: ClientAddress, later: BackgroundTasks, email: Field = ""
) -> RedirectResponse:
    """Mail a one-time code if the address is known, and go where it can be entered.

    Without a mail server the operator gives it out.
    """
    try:
        to = await password_change.allow_reset(ctx, email, address=address)
    except PlatformError as exc:
        return _back_to("/forgot", exc, email=email)
    later.add_task(password_change.send_reset, ctx, to)
    notice = "code_sent" if ctx.identity.sends_mail else "no_mail"
    return _to("/reset", notice=notice, email=email)


@router.post("/reset", status_code=303, response_class=RedirectResponse)
async def reset(
    ctx: Ctx,
    request: Request,
    address: ClientAddress,
    email: Field = "",
    code: Field = "",
    password: Field = "",
) -> RedirectResponse:
    """Set a new password with the code, and sign in."""
    try:
        account = await password_change.reset_password(
            ctx, email=email, code=code, new=password, address=address
        )
        sign_in.ensure_welcome(account)
    except PlatformError as exc:
        return _back_to("/reset", exc, email=email)
    signed_in = await open_sign_in(ctx, account, visit_of(request, "browser"))
    return _signed_in(request, signed_in, to=HOME)


@router.post("/logout", status_code=303, response_class=RedirectResponse)
async def logout(ctx: Ctx, request: Request) -> RedirectResponse:
    """End this browser's sign-in; its open sockets lose it too."""
    caller = await sign_in.caller_from_cookie(ctx, request.headers.get("cookie", ""))
    if caller and caller.sign_in_id:
        with contextlib.suppress(NotFound):
            await end_sign_in(ctx, caller.account_id, caller.sign_in_id)
    reply = RedirectResponse("/login?notice=signed_out", 303)
    reply.delete_cookie(COOKIE, path="/")
    return reply


def _signed_in(request: Request, signed_in: SignedIn, *, to: str) -> RedirectResponse:
    reply = RedirectResponse(to, 303)
    reply.set_cookie(
        COOKIE,
        signed_in.secret,
        max_age=SIGN_IN_SECONDS,
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return reply


def _back_to(page: str, error: PlatformError, **kept: str) -> RedirectResponse:
    if error.retry_after_seconds is not None:
        kept["retry_after"] = str(error.retry_after_seconds)
    return _to(page, error=error.code, **kept)


def _to(page: str, **query: str) -> RedirectResponse:
    given = {name: value for name, value in query.items() if value}
    return RedirectResponse(f"{page}?{urlencode(given, errors='replace')}", 303)


def _local(path: str) -> str:
    """Return the path if it stays on this site, else nothing."""
    is_local = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if is_local and path.isprintable() else ""
