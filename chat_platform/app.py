"""The server: pages and their socket by Reflex, `/api` by FastAPI and the proxy, on one port."""

import contextlib
from collections.abc import AsyncIterator

import reflex as rx
from starlette.types import ASGIApp, Receive, Scope, Send

from chat_platform.api.app import create_api
from chat_platform.context import set_app_context
from chat_platform.settings import load_settings
from chat_platform.wiring import open_context

api = create_api()


def with_api(pages: ASGIApp) -> ASGIApp:
    """Send /api/* to FastAPI and the rest to Reflex, so that an unknown API path is a JSON 404."""

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and (path == "/api" or path.startswith("/api/")):
            await api(scope, receive, send)
        else:
            await pages(scope, receive, send)

    return dispatch


app = rx.App(html_lang="en", api_transformer=with_api)


@app.register_lifespan_task
@contextlib.asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    async with open_context(load_settings()) as ctx:
        api.state.ctx = ctx
        set_app_context(ctx)
        try:
            yield
        finally:
            set_app_context(None)
