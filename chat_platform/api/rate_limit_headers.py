"""Tells API clients how much is left, in the header fields of the IETF draft.

`RateLimit-Policy: "search";q=120;w=60` is the rule, `RateLimit: "search";r=119;t=60` its
state (draft-ietf-httpapi-ratelimit-headers-10).
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chat_platform.process.rate_limits import Standing, standings


class RateLimitHeaders:
    """Adds the fields to every response for which a named rule was counted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with standings() as told:

            async def send_with_headers(message: Message) -> None:
                if message["type"] == "http.response.start" and told:
                    headers = MutableHeaders(scope=message)
                    headers["RateLimit-Policy"] = ", ".join(map(_policy, told.values()))
                    headers["RateLimit"] = ", ".join(map(_standing, told.values()))
                await send(message)

            await self._app(scope, receive, send_with_headers)


def _policy(standing: Standing) -> str:
    limit = standing.rule.limit
    return f'"{standing.rule.name}";q={limit.amount};w={limit.get_expiry()}'


def _standing(standing: Standing) -> str:
    return f'"{standing.rule.name}";r={standing.remaining};t={standing.resets_in_seconds}'
