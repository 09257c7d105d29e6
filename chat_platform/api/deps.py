"""What routes depend on: the context, and who is calling. Every credential is checked here."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, params
from fastapi.security import APIKeyCookie, HTTPBearer
from structlog.contextvars import bind_contextvars

from chat_platform.accounts.limits import count, rule_of
from chat_platform.accounts.sign_in import Caller, caller_from_bearer, caller_from_cookie
from chat_platform.accounts.sign_in_rows import Kind, Visit
from chat_platform.api.openapi import may_answer
from chat_platform.api.same_site import ensure_same_site
from chat_platform.context import AppContext
from chat_platform.errors import NotAllowed, NotSignedIn, nothing_here
from chat_platform.process.rate_limits import (
    CHANGES_OF_ACCOUNT,
    MESSAGES_FROM_ADDRESS,
    READS_OF_ACCOUNT,
    Rule,
)
from chat_platform.values.cookies import PLAIN_SIGN_IN_COOKIE
from chat_platform.values.network_addresses import counted_as
from chat_platform.web.methods import is_head

_bearer = HTTPBearer(auto_error=False, description="An access token, or an ApiToken (`cp_...`).")
_cookie = APIKeyCookie(
    name=PLAIN_SIGN_IN_COOKIE,
    auto_error=False,
    description="The pages' own sign-in; over HTTPS its name begins with `__Host-`.",
)


def _context(request: Request) -> AppContext:
    return request.app.state.ctx


Ctx = Annotated[AppContext, Depends(_context)]


def _client_address(request: Request) -> str:
    """Return the address under which attempts are counted; for IPv6, its /64 network."""
    # Behind trusted proxies `doors.py` has put the real one here.
    return counted_as(request.client.host if request.client else "")


ClientAddress = Annotated[str, Depends(_client_address)]


@may_answer(429)
async def limit_messages(ctx: Ctx, address: ClientAddress) -> None:
    """Limit the messages from one address, across all accounts."""
    await ctx.limits.take(MESSAGES_FROM_ADDRESS, "message", address)


def visit_of(request: Request, kind: Kind) -> Visit:
    """Return the origin of this request, to describe a new sign-in."""
    agent = request.headers.get("user-agent", "")
    device = "".join(c for c in agent if c.isprintable())
    return Visit(kind=kind, device=device, address=_client_address(request))


@may_answer(401, 403, 429, 503)
async def _signed(
    request: Request,
    ctx: Ctx,
    _documented_bearer: Annotated[object, Depends(_bearer)] = None,
    _documented_cookie: Annotated[object, Depends(_cookie)] = None,
) -> Caller:
    caller = await _caller_of(request, ctx)
    bind_contextvars(account_id=caller.account_id)
    await count(ctx, caller.account_id, _rule_of_route(request))
    return caller


def _rule_of_route(request: Request) -> Rule | None:
    """Return the route's rate limit: unless marked otherwise, that of a read or a change."""
    is_read = request.method in ("GET", "HEAD")
    usual = READS_OF_ACCOUNT if is_read else CHANGES_OF_ACCOUNT
    return rule_of(request.scope["endpoint"], usual)


async def _caller_of(request: Request, ctx: AppContext) -> Caller:
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return await caller_from_bearer(ctx, token.strip())
    # Any other scheme is not for us: a proxy in front may have a password of its own.
    caller = await caller_from_cookie(ctx, request.headers.get("cookie", ""))
    if caller is None:
        raise NotSignedIn("Sign in first, or send `Authorization: Bearer ...`.")
    ensure_same_site(request, ctx.settings)
    return caller


def _with_scope(scope: str) -> Callable[..., Awaitable[Caller]]:
    async def check(caller: Annotated[Caller, Depends(_signed)]) -> Caller:
        if not caller.has_scope(scope):
            raise NotAllowed(
                "This token lacks the scope {scope}.",
                values={"scope": scope},
                code="insufficient_scope",
            )
        return caller

    return check


async def _person(caller: Annotated[Caller, Depends(_signed)]) -> Caller:
    if caller.scopes is not None:
        raise NotAllowed("API tokens cannot do this. Sign in instead.", code="insufficient_scope")
    return caller


@may_answer(404)
async def _admin(caller: Annotated[Caller, Depends(_signed)]) -> Caller:
    if caller.scopes is not None or caller.account.role != "admin":
        raise nothing_here()
    return caller


@may_answer(403)
def _same_site(request: Request, ctx: Ctx) -> None:
    ensure_same_site(request, ctx.settings)


class AnsweredHead(Exception):
    """A HEAD has its response: the work for the body is skipped."""

    def __init__(self, media_type: str) -> None:
        super().__init__()
        self.media_type = media_type


def only_for_its_body(media_type: str = "application/json") -> params.Depends:
    """For reads that cost, create or record something: a HEAD skips that."""

    async def answer_head(request: Request, _caller: Annotated[Caller, Depends(_signed)]) -> None:
        if is_head(request.scope):
            raise AnsweredHead(media_type)

    return Depends(answer_head)


from_our_own_pages = Depends(_same_site)
"""For routes that a page on another site must not call with the cookie or a form."""

Signed = Annotated[Caller, Depends(_signed)]
"""Anyone signed in, including with an ApiToken of any scope."""
PersonCaller = Annotated[Caller, Depends(_person)]
"""The person, with a sign-in; not an ApiToken."""
ChatCaller = Annotated[Caller, Depends(_with_scope("chat"))]
MemoryCaller = Annotated[Caller, Depends(_with_scope("memory"))]
UsageCaller = Annotated[Caller, Depends(_with_scope("usage"))]
AdminCaller = Annotated[Caller, Depends(_admin)]
"""An administrator with a sign-in; for everyone else the endpoint does not exist."""
