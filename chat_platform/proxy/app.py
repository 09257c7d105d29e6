"""The proxy's entrance: routes, the agent server's key, bodies. Plain ASGI, to save time per call.

POST /api/v1/llm-proxy/{agent_id}/chat/completions
POST /api/v1/llm-proxy/{agent_id}/embeddings
GET  /api/v1/llm-proxy/{agent_id}/test
"""

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from ipaddress import ip_address
from typing import get_args

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from chat_platform.billing import budgets, ledger
from chat_platform.context import AppContext
from chat_platform.database.away import AWAY, unavailable
from chat_platform.errors import BudgetSpent, PlatformBudgetSpent, PlatformError
from chat_platform.proxy import problems
from chat_platform.proxy.call_request import Endpoint, read_request
from chat_platform.proxy.calls import Proxying, find_payer, make_call
from chat_platform.proxy.payers import Payer, has_payer
from chat_platform.proxy.problems import Problem
from chat_platform.proxy.relay import Relay
from chat_platform.proxy.tracing import TracedRelay
from chat_platform.proxy.upstream import Upstream
from chat_platform.settings import Settings
from chat_platform.values.ids import AgentId
from chat_platform.web.body_types import why_unreadable

PREFIX = "/api/v1/llm-proxy/"

_USUAL_TYPES = (b"application/json", b"")
_RETRIES = b"x-stainless-retry-count"
"""How often an OpenAI client has already tried this request."""

_ENDPOINTS: dict[str, Endpoint] = {name: name for name in get_args(Endpoint)}

log = structlog.get_logger()


class ModelProxy:
    """The proxy as an ASGI application; it serves requests while `serving` is open."""

    def __init__(self) -> None:
        self._state: Proxying | None = None

    @asynccontextmanager
    async def serving(self, ctx: AppContext) -> AsyncIterator[None]:
        """Serve calls with this context's database and gateway."""
        settings = ctx.settings
        models = frozenset((settings.model_for_chat, settings.model_for_embeddings))
        with closing(_upstream(settings)) as upstream:
            relay = TracedRelay if ctx.traces else Relay
            self._state = Proxying(ctx, upstream, ledger.terms(settings), models, relay=relay)
            try:
                yield
            finally:
                self._state = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        except Problem as problem:
            await _send_problem(send, problem)
        except PlatformError as error:
            await _send_problem(send, problems.of_platform_error(error))
        except AWAY as error:
            log.error("proxy.no_database", error=type(error).__name__)
            await _send_problem(send, problems.of_platform_error(unavailable()))
        except Exception:
            log.exception("proxy.failed", path=scope["path"])
            await _send_problem(send, problems.internal_error())

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = self._state
        if state is None:
            raise problems.starting()
        _check_caller(state.ctx.settings, scope)
        agent_id, _, rest = scope["path"].removeprefix(PREFIX).partition("/")
        endpoint = _ENDPOINTS.get(rest.rstrip("/"))
        if endpoint is None or scope["method"] != "POST":
            await _answer_aside(state, scope, AgentId(agent_id), rest.rstrip("/"), send)
            return
        _check_body_type(scope)
        body = await _read_body(scope, receive, state.ctx.settings.proxy_max_body_bytes)
        request = read_request(endpoint, body)
        is_first_try = _header(scope, _RETRIES) == b"0"
        await make_call(state, AgentId(agent_id), request, receive, send, is_first_try=is_first_try)


def create_proxy() -> ModelProxy:
    return ModelProxy()


def _upstream(settings: Settings) -> Upstream:
    url = settings.litellm_base_url or "http://litellm.invalid"
    return Upstream(url, connect_timeout_seconds=settings.proxy_connect_timeout_seconds)


def _check_caller(settings: Settings, scope: Scope) -> None:
    """Raise Problem 401 for a caller without the agent server's key, or from a wrong network."""
    networks = settings.proxy_networks
    if networks:
        address = (scope.get("client") or ("",))[0]
        if not _is_within(address, networks):
            raise problems.wrong_key()
    known = settings.letta_global_api_key.get_secret_value().encode()
    scheme, _, given = _header(scope, b"authorization").partition(b" ")
    if not known or scheme.lower() != b"bearer" or not hmac.compare_digest(given, known):
        raise problems.wrong_key()


def _is_within(address: str, networks: tuple) -> bool:
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in networks)


async def _answer_aside(
    state: Proxying, scope: Scope, agent_id: AgentId, rest: str, send: Send
) -> None:
    """Answer requests that are not model calls. Raises Problem 404 and 405."""
    methods = ("GET", "HEAD") if rest == "test" else ("POST",)
    if rest not in (*_ENDPOINTS, "test"):
        raise problems.unknown_path()
    if scope["method"] == "OPTIONS":
        await _send_headers(send, 204, [(b"allow", ", ".join(methods).encode())])
    elif scope["method"] not in methods:
        raise problems.wrong_method(*methods)
    elif scope["method"] == "HEAD":
        await _test_head(state, agent_id, send)
    else:
        await _test(state, agent_id, send)


def _check_body_type(scope: Scope) -> None:
    """Raise Problem 415 if the type is not JSON; without a type, the parser decides."""
    content_type, coding = _header(scope, b"content-type"), _header(scope, b"content-encoding")
    if content_type in _USUAL_TYPES and not coding:
        return
    if words := why_unreadable("json", content_type.decode("latin-1"), coding.decode("latin-1")):
        raise problems.unreadable(words)


async def _read_body(scope: Scope, receive: Receive, limit_bytes: int) -> bytes:
    """Return the whole body. Raises Problem 413 before a body over the limit is read."""
    declared = _header(scope, b"content-length")
    if declared.isdigit() and int(declared) > limit_bytes:
        raise problems.too_large(limit_bytes)
    pieces: list[bytes] = []
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise problems.caller_gone()
        pieces.append(message.get("body", b""))
        length += len(pieces[-1])
        if length > limit_bytes:
            raise problems.too_large(limit_bytes)
        more = message.get("more_body", False)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _test(state: Proxying, agent_id: AgentId, send: Send) -> None:
    """Report whether the agent's calls would be made; nothing about its person or the key."""
    payer = await find_payer(state, agent_id)
    await state.ctx.billing.check()
    facts = {
        "agent_id": agent_id,
        "status": "ok",
        "billing": "ok",
        "budget": await _budget_word(state, payer),
    }
    await _send_json(send, 200, [(b"content-type", b"application/json")], orjson.dumps(facts))


async def _budget_word(state: Proxying, payer: Payer) -> str:
    try:
        await budgets.ensure_affordable(state.ctx, payer.account_id)
    except PlatformBudgetSpent:
        return "platform_spent"
    except BudgetSpent:
        return "spent"
    return "ok"


async def _test_head(state: Proxying, agent_id: AgentId, send: Send) -> None:
    """Tell whether the agent belongs to an account; more could create its billing account."""
    if not await has_payer(state.ctx, agent_id):
        raise problems.unknown_agent()
    await _send_headers(send, 200, [(b"content-type", b"application/json")])


async def _send_headers(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _send_problem(send: Send, problem: Problem) -> None:
    await _send_json(send, problem.status, problem.headers(), problem.body())


async def _send_json(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _header(scope: Scope, name: bytes) -> bytes:
    for key, value in scope["headers"]:
        if key == name:
            return value
    return b""
