"""The server: pages and their websocket (Reflex), REST (FastAPI) and the proxy, on one port.

The agent server may have a port of its own to the proxy.
"""

# Socket.IO and Reflex's list of tasks have no types.
# pyright: reportUnknownMemberType=false

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from datetime import timedelta

import reflex as rx
import structlog
from reflex.config import get_config
from reflex_base.environment import environment
from starlette.types import ASGIApp

from chat_platform.accounts.setup_code import offer_setup_code
from chat_platform.accounts.sign_in import caller_from_cookie
from chat_platform.api.app import create_api
from chat_platform.api.problems import refusal
from chat_platform.context import AppContext, app_context, set_app_context
from chat_platform.pages import add_pages, head
from chat_platform.pages.language import PAGES_LANGUAGE
from chat_platform.process.collector import spare_the_collector
from chat_platform.process.logs import set_up_logging
from chat_platform.proxy.app import create_proxy
from chat_platform.proxy.listener import on_own_port
from chat_platform.settings import Settings, SettingsError, load_settings
from chat_platform.state.event_ids import EventIds
from chat_platform.state.event_limits import EventLimits
from chat_platform.state.failures import answer_exception
from chat_platform.state.own_events import OwnEvents
from chat_platform.state.page_sockets import PageSockets
from chat_platform.state.tab_owners import TabOwners
from chat_platform.web.built_pages import BuiltPages
from chat_platform.web.doors import KnownHosts, OnlyHttps
from chat_platform.web.forwarding import TrustedProxies, keep_peers_as_they_are
from chat_platform.web.front_door import FrontDoor
from chat_platform.web.orderly_stop import drain_on_sigterm
from chat_platform.web.root_path import UnderRootPath
from chat_platform.web.socket_door import SOCKET_NAMESPACE, OpenSockets, SocketDoor, SocketLimits
from chat_platform.wiring import open_context

log = structlog.get_logger()

api = create_api()
proxy = create_proxy()
page_sockets = OpenSockets()


def with_doors(reflex: ASGIApp) -> ASGIApp:
    """Put our routing before Reflex, so that an unknown API path is a JSON 404."""
    settings = settings_or_exit()
    # Reflex itself answers preflight requests, before our code, from this list.
    get_config().cors_allowed_origins = tuple(sorted(settings.origins))
    get_config().frontend_path = settings.root_path
    keep_peers_as_they_are()
    front = FrontDoor(
        reflex=SocketDoor(
            reflex, _is_signed_in, root_path=settings.root_path, sockets=page_sockets
        ),
        api=api,
        proxy=proxy,
        pages=BuiltPages(root_path=settings.root_path),
    )
    doors = TrustedProxies(OnlyHttps(KnownHosts(front, _settings, refusal)), _settings)
    return UnderRootPath(doors, settings.root_path) if settings.root_path else doors


async def _is_signed_in(cookie_header: str) -> bool:
    return await caller_from_cookie(app_context(), cookie_header) is not None


def settings_or_exit() -> Settings:
    """Raises SystemExit with one line for each unsafe setting: web servers print it without the
    traceback that they print for later failures.
    """
    try:
        return load_settings()
    except SettingsError as exc:
        raise SystemExit(str(exc)) from None


def _settings() -> Settings:
    return app_context().settings


def serve(ctx: AppContext | None) -> None:
    """Give the running server's context to the API, the proxy and the pages."""
    api.state.ctx = ctx
    set_app_context(ctx)


@contextlib.asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    settings = load_settings()
    set_up_logging(settings)
    async with open_context(settings) as ctx, proxy.serving(ctx), on_own_port(proxy, settings):
        serve(ctx)
        drain_on_sigterm(ctx)
        await _show_setup_code(ctx)
        spare_the_collector()
        leaving = asyncio.create_task(_let_pages_go(ctx))
        try:
            yield
        finally:
            leaving.cancel()
            serve(None)


async def _let_pages_go(ctx: AppContext) -> None:
    """Send pages to the other processes when this one drains: it would refuse their messages.

    Only with Redis can there be others.
    """
    await ctx.running_turns.draining.wait()
    if ctx.settings.has_redis:
        await page_sockets.let_all_go()


@contextlib.asynccontextmanager
async def look_after_tabs() -> AsyncIterator[None]:
    async with tab_owners.looking_after(app):
        yield


def note_frontend_exception(exception: Exception) -> None:
    """Log that a browser reported an error. Anyone can report anything, so its text is dropped."""
    log.warning("page.error_reported", characters=len(str(exception)))


async def _show_setup_code(ctx: AppContext) -> None:
    """Tell the operator, once, how to become the administrator.

    Printed rather than logged, since logs drop secrets and may be shipped elsewhere. Under the
    launcher it goes to the server's log file, which only its user can read.
    """
    code = await offer_setup_code(ctx.engine, ctx.settings)
    if code:
        link = f"{ctx.settings.public_url}/register?setup_code={code}"
        sys.stdout.write(
            f"There is no administrator yet. Register with this code to become one: {code}\n"
            f"  {link}\nIt works once. To print a new one: chat-platform setup-code\n"
        )
        sys.stdout.flush()


class ServedApp(rx.App):
    """Serves the pages that `chat-platform build` built: a server never builds when it starts."""

    def _setup_state(self) -> None:
        super()._setup_state()
        self._hear_sockets("")

    def __call__(self) -> ASGIApp:
        # Servers call the factory; Reflex's own build does not.
        environment.REFLEX_SKIP_COMPILE.set(True)
        if root_path := settings_or_exit().root_path:
            self._hear_sockets(root_path)
        return super().__call__()

    def _hear_sockets(self, root_path: str) -> None:
        """Replace Reflex's namespace with our own, under the path that pages request."""
        if self.sio and self._event_namespace:
            own = PageSockets(f"{root_path}{SOCKET_NAMESPACE}", self)
            self.sio.namespace_handlers.pop(self._event_namespace.namespace, None)
            self._event_namespace = own
            self.sio.register_namespace(own)


# By default, Reflex keeps a silent websocket for two minutes, and a message can have 1 MB.
environment.REFLEX_SOCKET_TIMEOUT.set(timedelta(seconds=20))
environment.REFLEX_SOCKET_MAX_HTTP_BUFFER_SIZE.set(SocketLimits().signed_in.max_bytes)

app = ServedApp(
    html_lang=PAGES_LANGUAGE,
    stylesheets=["/tokens.css", "/base.css", "/shell.css", "/chat.css", "/panels.css", "/code.css"],
    reset_style=False,
    head_components=head(),
    # Our own connection line and notices replace Reflex's overlays: less to load, and consistent.
    app_wraps={},
    toaster=None,
    api_transformer=with_doors,
    backend_exception_handler=answer_exception,
    frontend_exception_handler=note_frontend_exception,
)
tab_owners = TabOwners()
app.add_middleware(EventIds())
app.add_middleware(tab_owners)
app.add_middleware(OwnEvents())
app.add_middleware(EventLimits())
app.register_lifespan_task(lifespan)
app.register_lifespan_task(look_after_tabs)
add_pages(app)
