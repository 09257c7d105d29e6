"""Sign-in for REST clients: access and refresh tokens."""

import contextlib
from typing import Literal

from fastapi import APIRouter, BackgroundTasks, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from chat_platform.accounts import passwords, sign_in
from chat_platform.accounts.limits import counts_as
from chat_platform.accounts.registration import Papers, policy_now
from chat_platform.accounts.sign_in_rows import SignedIn, end_sign_in
from chat_platform.agents.agents import agent_of
from chat_platform.api.deps import ClientAddress, Ctx, PersonCaller, Signed, visit_of
from chat_platform.api.fields import Email, Line, NewPassword, PersonName
from chat_platform.api.openapi import problems
from chat_platform.context import AppContext
from chat_platform.errors import NotFound
from chat_platform.models import Account
from chat_platform.settings import RegistrationPolicy
from chat_platform.values.clock import to_rfc3339

router = APIRouter(prefix="/auth", tags=["authentication"])


class Credentials(BaseModel):
    email: Email
    password: Line


class Registration(Credentials):
    password: NewPassword
    name: PersonName = ""
    invitation: Line = ""
    """The invitation code, where registration needs one."""
    setup_code: Line = ""
    """The operator's one-time setup code, which makes the account an administrator."""


class RegistrationView(BaseModel):
    registration: Literal["open", "invitation", "closed"]
    """What applies to a new visitor now."""


class RefreshToken(BaseModel):
    refresh_token: Line


class AddressBody(BaseModel):
    email: Email


class Confirmation(AddressBody):
    code: Line


class Reset(Confirmation):
    password: NewPassword
    """The new one."""


class UserView(BaseModel):
    id: str
    email: str
    name: str
    agent_id: str | None
    created_at: str


class TokenView(BaseModel):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105
    expires_in: int
    """Seconds."""
    refresh_token: str
    user: UserView


class ConfirmationView(BaseModel):
    status: Literal["confirmation_required"] = "confirmation_required"


class AcceptedView(BaseModel):
    status: Literal["accepted"] = "accepted"


@router.post(
    "/register",
    status_code=201,
    responses={202: {"model": ConfirmationView}, **problems(403, 409, 429, 503)},
)
async def register(ctx: Ctx, body: Registration, request: Request) -> TokenView:
    """Create an account and sign in; 202 if the address must be confirmed by email first."""
    signed_in = await sign_in.register(
        ctx,
        email=body.email,
        password=body.password,
        name=body.name,
        visit=visit_of(request, "api"),
        papers=Papers(invitation=body.invitation, setup_code=body.setup_code),
    )
    if signed_in is None:
        return JSONResponse(ConfirmationView().model_dump(), 202)  # pyright: ignore[reportReturnType]
    return await _token_view(ctx, signed_in)


@router.get("/registration")
async def read_registration(ctx: Ctx) -> RegistrationView:
    """Tell who may register: anyone, only invited people, or nobody."""
    policy = await policy_now(ctx)
    names: dict[RegistrationPolicy, Literal["open", "invitation", "closed"]] = {
        "open": "open",
        "first": "open",
        "invite": "invitation",
        "closed": "closed",
    }
    return RegistrationView(registration=names[policy])


@router.post("/login", responses=problems(401, 403, 409, 429, 503))
async def login(ctx: Ctx, body: Credentials, request: Request) -> TokenView:
    """Sign in; unknown addresses and wrong passwords get the same answer in the same time."""
    signed_in = await sign_in.login(
        ctx, email=body.email, password=body.password, visit=visit_of(request, "api")
    )
    return await _token_view(ctx, signed_in)


@router.post("/resend", status_code=202, responses=problems(404, 429, 503))
async def resend_confirmation(ctx: Ctx, body: AddressBody, address: ClientAddress) -> AcceptedView:
    """Send the confirmation code again, if the address is waiting for one."""
    await sign_in.resend_confirmation(ctx, body.email, address=address)
    return AcceptedView()


@router.post("/confirm", responses=problems(401, 403, 404, 409, 429, 503))
async def confirm(ctx: Ctx, body: Confirmation, request: Request) -> TokenView:
    """Confirm the address with the code from the email, and sign in."""
    signed_in = await sign_in.confirm(
        ctx, email=body.email, code=body.code, visit=visit_of(request, "api")
    )
    return await _token_view(ctx, signed_in)


@router.post("/refresh", responses=problems(401, 403))
async def refresh(ctx: Ctx, body: RefreshToken) -> TokenView:
    """Exchange the refresh token for a new pair; reusing an old one ends the sign-in.

    A token replaced within the last 30 seconds gets the same successor again.
    """
    return await _token_view(ctx, await sign_in.refresh(ctx, body.refresh_token))


@router.post("/logout", status_code=204)
@counts_as(None)
async def logout(ctx: Ctx, caller: PersonCaller) -> None:
    """End this sign-in: its access and refresh tokens stop working at once."""
    if caller.sign_in_id:
        # Two at once: both succeed.
        with contextlib.suppress(NotFound):
            await end_sign_in(ctx, caller.account_id, caller.sign_in_id)


@router.post("/reset", status_code=202, responses=problems(429))
async def send_reset(
    ctx: Ctx, body: AddressBody, address: ClientAddress, later: BackgroundTasks
) -> AcceptedView:
    """Send a one-time code if the address is known; neither response nor timing reveals it."""
    email = await passwords.allow_reset(ctx, body.email, address=address)
    later.add_task(passwords.send_reset, ctx, email)
    return AcceptedView()


@router.post("/reset/confirm", status_code=204, responses=problems(401, 409, 429, 503))
async def reset(ctx: Ctx, body: Reset, address: ClientAddress) -> None:
    """Set a new password with the code; ends every sign-in and token of the account."""
    await passwords.reset_password(
        ctx, email=body.email, code=body.code, new=body.password, address=address
    )


@router.get("/me")
async def me(ctx: Ctx, caller: Signed) -> UserView:
    return await _user_view(ctx, caller.account)


async def _token_view(ctx: AppContext, signed_in: SignedIn) -> TokenView:
    return TokenView(
        access_token=sign_in.access_token(ctx, signed_in),
        expires_in=ctx.settings.jwt_expire_minutes * 60,
        refresh_token=signed_in.secret,
        user=await _user_view(ctx, signed_in.account),
    )


async def _user_view(ctx: AppContext, account: Account) -> UserView:
    return UserView(
        id=account.id,
        email=account.email,
        name=account.name,
        agent_id=await agent_of(ctx, account.id),
        created_at=to_rfc3339(account.created_at_ms),
    )
