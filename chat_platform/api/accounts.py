"""A person's own account: profile, tokens, sign-ins, password, export, deletion."""

from typing import Annotated, Literal

from fastapi import APIRouter, BackgroundTasks, Response
from pydantic import BaseModel, Field

from chat_platform.accounts import admin, api_tokens, deletion, passwords, profiles, sign_in_rows
from chat_platform.accounts import export as account_export
from chat_platform.accounts.api_tokens import Scope
from chat_platform.accounts.limits import counts_as
from chat_platform.accounts.profiles import Theme
from chat_platform.agents.agents import agent_of
from chat_platform.api.auth import AcceptedView
from chat_platform.api.deps import ClientAddress, Ctx, PersonCaller, only_for_its_body
from chat_platform.api.fields import Line, NewPassword, PersonName, RowId, TokenName
from chat_platform.api.openapi import problems
from chat_platform.context import AppContext
from chat_platform.models import Account, ApiToken, SignIn
from chat_platform.process.rate_limits import EXPORTS_OF_ACCOUNT
from chat_platform.values.clock import to_rfc3339
from chat_platform.values.languages import LanguageChoice

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
    """Fields that are missing or null stay unchanged."""

    name: PersonName | None = None
    language: LanguageChoice | None = None
    theme: Theme | None = None


class NewToken(BaseModel):
    name: TokenName
    scopes: Annotated[list[Scope], Field(json_schema_extra={"minItems": 1})]
    expires_in_days: Annotated[int, Field(ge=1, le=api_tokens.MAX_DAYS)] | None = (
        api_tokens.DEFAULT_DAYS
    )
    password: Line | None = None
    """Can be omitted within five minutes of signing in."""


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
    """Shown only once; only its hash is stored."""


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


class SetupCode(BaseModel):
    setup_code: Line


class Deletion(BaseModel):
    password: Line


@router.get("/profile")
async def read_profile(ctx: Ctx, caller: PersonCaller) -> ProfileView:
    return await _profile(ctx, caller.account)


@router.patch("/profile")
async def change_profile(ctx: Ctx, caller: PersonCaller, body: ProfileChange) -> ProfileView:
    account = await profiles.change_profile(
        ctx, caller.account_id, name=body.name, language=body.language, theme=body.theme
    )
    return await _profile(ctx, account)


@router.post("/setup-code", status_code=204, responses=problems(429))
async def become_administrator(
    ctx: Ctx, caller: PersonCaller, body: SetupCode, address: ClientAddress
) -> None:
    """Become an administrator with the setup code that the first start printed."""
    await admin.become_administrator(ctx, caller.account_id, body.setup_code, address=address)


@router.post("/tokens", status_code=201, responses=problems(409, 429))
async def make_token(
    ctx: Ctx, caller: PersonCaller, body: NewToken, address: ClientAddress
) -> MadeToken:
    """Create a token for a script. It is shown only in this response.

    Since it outlives the sign-in, the password is needed from five minutes after signing in.
    """
    terms = api_tokens.terms_of(body.name, body.scopes, expires_in_days=body.expires_in_days)
    await passwords.ensure_proven(
        ctx,
        caller.account,
        password=body.password,
        sign_in_id=caller.sign_in_id,
        address=address,
    )
    made = await api_tokens.make_token(ctx, caller.account_id, terms)
    return MadeToken(token=made.secret, **_token_info(made.row).model_dump())


@router.get("/tokens")
async def list_tokens(ctx: Ctx, caller: PersonCaller) -> TokenList:
    rows = await api_tokens.list_tokens(ctx, caller.account_id)
    return TokenList(tokens=[_token_info(row) for row in rows])


@router.delete("/tokens/{token_id}", status_code=204)
@counts_as(None)
async def revoke_token(ctx: Ctx, caller: PersonCaller, token_id: RowId) -> None:
    await api_tokens.revoke_token(ctx, caller.account_id, token_id)


@router.get("/sign-ins")
async def list_sign_ins(ctx: Ctx, caller: PersonCaller) -> SignInList:
    """Where this person is signed in, most recently used first."""
    rows = await sign_in_rows.list_sign_ins(ctx, caller.account_id)
    return SignInList(sign_ins=[_sign_in_view(row, caller.sign_in_id) for row in rows])


@router.delete("/sign-ins/{sign_in_id}", status_code=204)
@counts_as(None)
async def end_sign_in(ctx: Ctx, caller: PersonCaller, sign_in_id: RowId) -> None:
    """End a sign-in: its next request, and the next event of its open pages, are refused."""
    await sign_in_rows.end_sign_in(ctx, caller.account_id, sign_in_id)


@router.post("/password", status_code=204, responses=problems(429))
@counts_as(None)
async def change_password(
    ctx: Ctx, caller: PersonCaller, body: PasswordChange, address: ClientAddress
) -> None:
    """Change the password and end every other sign-in and every API token."""
    await passwords.change_password(
        ctx,
        caller.account,
        current=body.current,
        new=body.new,
        sign_in_id=caller.sign_in_id,
        address=address,
    )


@router.get(
    "/export",
    dependencies=[only_for_its_body("application/zip")],
    response_class=Response,
    responses={200: {"content": {"application/zip": {}}, "description": "The archive."}},
)
@counts_as(EXPORTS_OF_ACCOUNT)
async def export(ctx: Ctx, caller: PersonCaller) -> Response:
    """Everything stored about this person: account, messages, memory, ledger."""
    archive = await account_export.export_account(ctx, caller.account)
    return Response(
        archive,
        media_type="application/zip",
        headers={"Content-Disposition": 'attachment; filename="my-data.zip"'},
    )


@router.delete("", status_code=202, responses=problems(429))
@counts_as(None)
async def delete_account(
    ctx: Ctx, caller: PersonCaller, body: Deletion, address: ClientAddress, later: BackgroundTasks
) -> AcceptedView:
    """Delete the account and everything that belongs to it; completes after this response."""
    await deletion.begin_deletion(ctx, caller.account, password=body.password, address=address)
    later.add_task(deletion.finish_deletion, ctx, caller.account_id)
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
