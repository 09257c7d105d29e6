"""A person's own account: profile, tokens, sign-ins, password, export, deletion."""

from typing import Annotated, Literal

from fastapi import APIRouter, BackgroundTasks, Response
from pydantic import BaseModel, Field, StringConstraints

from chat_platform import (
    account_deletion,
    account_export,
    accounts,
    api_tokens,
    password_change,
    sign_ins,
)
from chat_platform.agents import agent_of
from chat_platform.api.auth import AcceptedView
from chat_platform.api.deps import ClientAddress, Ctx, PersonCaller
from chat_platform.api.fields import Line, NewPassword, PersonName, RowId
from chat_platform.api.openapi import problems
from chat_platform.api_tokens import Scope
from chat_platform.clock import to_rfc3339
from chat_platform.context import AppContext
from chat_platform.models import Account, ApiToken, SignIn

router = APIRouter(prefix="/user", tags=["user"])


class ProfileView(BaseModel):
    id: str
    email: str
    name: str
    role: Literal["person", "admin"]
    language: str
    theme: str
    agent_id: str | None
    created_at: str


class ProfileChange(BaseModel):
    """What is left out or null stays as it is."""

    name: PersonName | None = None
    language: Literal["", "en", "ru"] | None = None
    theme: Literal["system", "light", "dark"] | None = None


class NewToken(BaseModel):
    name: Annotated[Line, StringConstraints(min_length=1, max_length=100)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=3)]
    expires_in_days: Annotated[int, Field(ge=1, le=3650)] | None = 90


class TokenInfo(BaseModel):
    id: str
    prefix: str
    name: str
    scopes: list[str]
    created_at: str
    expires_at: str | None
    last_used_at: str | None


class MadeToken(TokenInfo):
    token: str
    """Shown this once; only its hash is kept."""


class TokenList(BaseModel):
    tokens: list[TokenInfo]


class SignInView(BaseModel):
    id: str
    kind: Literal["browser", "api"]
    device: str
    created_at: str
    last_seen_at: str
    expires_at: str
    is_current: bool


class SignInList(BaseModel):
    sign_ins: list[SignInView]


class PasswordChange(BaseModel):
    current: Line
    new: NewPassword


class Deletion(BaseModel):
    password: Line


@router.get("/profile")
async def read_profile(ctx: Ctx, caller: PersonCaller) -> ProfileView:
    return await _profile(ctx, caller.account)


@router.patch("/profile")
async def change_profile(ctx: Ctx, caller: PersonCaller, body: ProfileChange) -> ProfileView:
    account = await accounts.change_profile(
        ctx, caller.account_id, name=body.name, language=body.language, theme=body.theme
    )
    return await _profile(ctx, account)


@router.post("/tokens", status_code=201, responses=problems(409))
async def make_token(ctx: Ctx, caller: PersonCaller, body: NewToken) -> MadeToken:
    """Make a token for a script. It is shown in this answer and never again."""
    made = await api_tokens.make_token(
        ctx,
        caller.account_id,
        name=accounts.tidy_name(body.name),
        scopes=frozenset(body.scopes),
        expires_in_days=body.expires_in_days,
    )
    return MadeToken(token=made.secret, **_token_info(made.row).model_dump())


@router.get("/tokens")
async def list_tokens(ctx: Ctx, caller: PersonCaller) -> TokenList:
    rows = await api_tokens.list_tokens(ctx, caller.account_id)
    return TokenList(tokens=[_token_info(row) for row in rows])


@router.delete("/tokens/{token_id}", status_code=204)
async def revoke_token(ctx: Ctx, caller: PersonCaller, token_id: RowId) -> None:
    await api_tokens.revoke_token(ctx, caller.account_id, token_id)


@router.get("/sign-ins")
async def list_sign_ins(ctx: Ctx, caller: PersonCaller) -> SignInList:
    """Where this person is signed in, last used first."""
    rows = await sign_ins.list_sign_ins(ctx, caller.account_id)
    return SignInList(sign_ins=[_sign_in_view(row, caller.sign_in_id) for row in rows])


@router.delete("/sign-ins/{sign_in_id}", status_code=204)
async def end_sign_in(ctx: Ctx, caller: PersonCaller, sign_in_id: RowId) -> None:
    """End a sign-in; its next request, and its open pages' next event, are refused."""
    await sign_ins.end_sign_in(ctx, caller.account_id, sign_in_id)


@router.post("/password", status_code=204, responses=problems(429))
async def change_password(
    ctx: Ctx, caller: PersonCaller, body: PasswordChange, address: ClientAddress
) -> None:
    """Change the password and end every other sign-in."""
    await password_change.change_password(
        ctx,
        caller.account,
        current=body.current,
        new=body.new,
        sign_in_id=caller.sign_in_id,
        address=address,
    )


@router.get(
    "/export",
    response_class=Response,
    responses={200: {"content": {"application/zip": {}}, "description": "The archive."}},
)
async def export(ctx: Ctx, caller: PersonCaller) -> Response:
    """Everything kept about this person: account, messages, memory, ledger."""
    archive = await account_export.export_account(ctx, caller.account)
    return Response(
        archive,
        media_type="application/zip",
        headers={"Content-Disposition": 'attachment; filename="my-data.zip"'},
    )


@router.delete("", status_code=202, responses=problems(429))
async def delete_account(
    ctx: Ctx, caller: PersonCaller, body: Deletion, address: ClientAddress, later: BackgroundTasks
) -> AcceptedView:
    """Delete the account and all that belongs to it; it goes on by itself after this answer."""
    await account_deletion.begin_deletion(
        ctx, caller.account, password=body.password, address=address
    )
    later.add_task(account_deletion.finish_deletion, ctx, caller.account_id)
    return AcceptedView()


async def _profile(ctx: AppContext, account: Account) -> ProfileView:
    return ProfileView(
        **account.model_dump(include={"id", "email", "name", "role", "language", "theme"}),
        agent_id=await agent_of(ctx, account.id),
        created_at=to_rfc3339(account.created_at_ms),
    )


def _token_info(row: ApiToken) -> TokenInfo:
    return TokenInfo(
        id=row.id,
        prefix=row.prefix,
        name=row.name,
        scopes=row.scopes.split(),
        created_at=to_rfc3339(row.created_at_ms),
        expires_at=_time(row.expires_at_ms),
        last_used_at=_time(row.last_used_at_ms),
    )


def _sign_in_view(row: SignIn, current_id: str | None) -> SignInView:
    return SignInView(
        **row.model_dump(include={"id", "kind", "device"}),
        created_at=to_rfc3339(row.created_at_ms),
        last_seen_at=to_rfc3339(row.last_seen_at_ms),
        expires_at=to_rfc3339(row.expires_at_ms),
        is_current=row.id == current_id,
    )


def _time(ms: int | None) -> str | None:
    return None if ms is None else to_rfc3339(ms)
