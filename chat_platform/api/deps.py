"""What routes ask for: the context, and who is calling. Every credential is judged here."""

from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPBearer

from chat_platform.api.openapi import may_answer
from chat_platform.api.same_site import ensure_same_site
from chat_platform.context import AppContext
from chat_platform.errors import NotAllowed, NotFound, NotSignedIn
from chat_platform.rate_limits import MESSAGES_FROM_ADDRESS
from chat_platform.sign_in import COOKIE, Caller, caller_from_bearer, caller_from_cookie
from chat_platform.sign_ins import Kind, Visit

_bearer = HTTPBearer(auto_error=False, description="An access token, or an ApiToken (`cp_...`).")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="The pages' own sign-in.")


def _context(request: Request) -> AppContext:
    return request.app.state.ctx


Ctx = Annotated[AppContext, Depends(_context)]


def _client_address(request: Request) -> str:
    """Return the address as attempts are counted by: of IPv6 the network that one house has."""
    # Behind trusted proxies `doors.py` has put the real one here.
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
    return host


ClientAddress = Annotated[str, Depends(_client_address)]


@may_answer(429)
async def limit_messages(ctx: Ctx, address: ClientAddress) -> None:
    """Keep one address from flooding with messages of however many accounts."""
    await ctx.limits.take(MESSAGES_FROM_ADDRESS, "message", address)


def visit_of(request: Request, kind: Kind) -> Visit:
    """Return where this request comes from, as a new sign-in is described."""
    agent = request.headers.get("user-agent", "")
    device = "".join(c for c in agent if c.isprintable())
    return Visit(kind=kind, device=device, address=_client_address(request))


@may_answer(401, 403, 503)
async def _signed(
    request: Request,
    ctx: Ctx,
    _documented_bearer: Annotated[object, Depends(_bearer)] = None,
    _documented_cookie: Annotated[object, Depends(_cookie)] = None,
) -> Caller:
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotSignedIn("Send the credential as `Authorization: Bearer ...`.")
        return await caller_from_bearer(ctx, token.strip())
    caller = await caller_from_cookie(ctx, request.headers.get("cookie", ""))
    if caller is None:
        raise NotSignedIn("Sign in first.")
    ensure_same_site(request, ctx.settings)
    return caller


def _with_scope(scope: str) -> Callable[..., Awaitable[Caller]]:
    async def check(caller: Annotated[Caller, Depends(_signed)]) -> Caller:
        if not caller.has_scope(scope):
            raise NotAllowed(
                f"This token is not made for this: it needs the scope {scope}.",
                code="insufficient_scope",
            )
        return caller

    return check


async def _person(caller: Annotated[Caller, Depends(_signed)]) -> Caller:
    if caller.scopes is not None:
        raise NotAllowed("Tokens may not do this: sign in instead.", code="insufficient_scope")
    return caller


@may_answer(404)
async def _admin(caller: Annotated[Caller, Depends(_signed)]) -> Caller:
    if caller.scopes is not None or caller.account.role != "admin":
        raise NotFound("There is nothing here.")
    return caller


@may_answer(403)
def _same_site(request: Request, ctx: Ctx) -> None:
    ensure_same_site(request, ctx.settings)


from_our_own_pages = Depends(_same_site)
"""For routes whose cookie or form another site's page must not use."""

Signed = Annotated[Caller, Depends(_signed)]
"""Anyone who is signed in, ApiTokens of any scope included."""
PersonCaller = Annotated[Caller, Depends(_person)]
"""The person themself, with a sign-in; no ApiToken."""
ChatCaller = Annotated[Caller, Depends(_with_scope("chat"))]
MemoryCaller = Annotated[Caller, Depends(_with_scope("memory"))]
UsageCaller = Annotated[Caller, Depends(_with_scope("usage"))]
AdminCaller = Annotated[Caller, Depends(_admin)]
"""An administrator with a sign-in; to everybody else the door does not exist."""
