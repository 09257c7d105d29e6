"""The proxy over real HTTP, on both its ports, between a real client and a scripted LiteLLM."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn

from chat_platform.context import AppContext
from chat_platform.proxy.app import ModelProxy, create_proxy
from chat_platform.proxy.listener import listening
from chat_platform.settings import Settings
from tests.contexts import GLOBAL_KEY
from tests.ledger_entries import Payer, new_payer
from tests.proxy.fake_upstream import FakeUpstream


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
def settings(settings: Settings, upstream: FakeUpstream) -> Settings:
    return settings.model_copy(
        update={
            "litellm_base_url": upstream.url,
            "litellm_has_database": False,
            "proxy_first_byte_timeout_seconds": 1.0,
            "proxy_silence_timeout_seconds": 0.5,
        }
    )


@pytest.fixture
async def agent(ctx: AppContext) -> Payer:
    return await new_payer(ctx, "alice")


@pytest.fixture(params=["main port", pytest.param("own port", marks=pytest.mark.slow)])
async def proxy(
    ctx: AppContext, request: pytest.FixtureRequest
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the running proxy that carries the agent server's key."""
    app = create_proxy()
    serve = {"main port": _on_main_port, "own port": _on_own_port}[request.param]
    async with app.serving(ctx), serve(app) as url:
        headers = {"Authorization": f"Bearer {GLOBAL_KEY}"}
        base_url = f"{url}/api/v1/llm-proxy/"
        async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=10) as client:
            yield client


@asynccontextmanager
async def _on_own_port(app: ModelProxy) -> AsyncIterator[str]:
    async with listening(app, 0, grace_seconds=1) as port:
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def _on_main_port(app: ModelProxy) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    # The socket is already listening: the first request waits in its queue until the server is up.
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await serving
