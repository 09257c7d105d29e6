"""The server: pages and their socket by Reflex, `/api` by FastAPI and the proxy, on one port."""

import contextlib
from collections.abc import AsyncIterator

import reflex as rx
from reflex.config import get_config
from reflex_base.environment import environment
from starlette.types import ASGIApp

from chat_platform.api.app import create_api
from chat_platform.api.problems import refusal
from chat_platform.context import AppContext, app_context, set_app_context
from chat_platform.logs import set_up_logging
from chat_platform.orderly_stop import drain_on_sigterm
from chat_platform.pages import add_pages, head
from chat_platform.pages.language import PAGES_LANGUAGE
from chat_platform.proxy.app import create_proxy
from chat_platform.settings import Settings, SettingsError, load_settings
from chat_platform.state.own_events import OwnEvents
from chat_platform.state.toasts import answer_exception
from chat_platform.web.built_pages import BuiltPages
from chat_platform.web.doors import KnownHosts, TrustedProxies
from chat_platform.web.front_door import FrontDoor
from chat_platform.wiring import open_context

api = create_api()
proxy = create_proxy()


def with_doors(reflex: ASGIApp) -> ASGIApp:
    """Put our doors before Reflex, so that an unknown API path is a JSON 404.

    Raises SystemExit with one line for each unsafe setting: servers show it without a traceback,
    which they print for whatever fails later.
    """
    try:
        settings = load_settings()
    except SettingsError as exc:
        raise SystemExit(str(exc)) from None
    # Reflex answers preflights itself, before any door of ours, by this list.
    get_config().cors_allowed_origins = tuple(sorted(settings.origins))
    front = FrontDoor(reflex=reflex, api=api, proxy=proxy, pages=BuiltPages())
    return TrustedProxies(KnownHosts(front, _settings, refusal), _settings)


def _settings() -> Settings:
    return app_context().settings


def serve(ctx: AppContext | None) -> None:
    """Hand the running server's context to every door."""
    api.state.ctx = ctx
    set_app_context(ctx)


@contextlib.asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    settings = load_settings()
    set_up_logging(settings)
    async with open_context(settings) as ctx, proxy.serving(ctx):
        serve(ctx)
        drain_on_sigterm(ctx)
        try:
            yield
        finally:
            serve(None)


class ServedApp(rx.App):
    """Serves the pages as `chat-platform build` left them: a server never builds at its start."""

    def __call__(self) -> ASGIApp:
        # Whoever starts a server calls the factory; Reflex's own build does not.
        environment.REFLEX_SKIP_COMPILE.set(True)
        return super().__call__()


app = ServedApp(
    html_lang=PAGES_LANGUAGE,
    stylesheets=["/tokens.css", "/base.css", "/shell.css", "/chat.css", "/panels.css", "/code.css"],
    reset_style=False,
    head_components=head(),
    # Our own connection line and notices replace Reflex's overlays: less to load, one look.
    app_wraps={},
    toaster=None,
    api_transformer=with_doors,
    backend_exception_handler=answer_exception,
)
app.add_middleware(OwnEvents())
app.register_lifespan_task(lifespan)
add_pages(app)
