"""Puts the REST API together. Its routers live one noun a file beside this one."""

from fastapi import FastAPI

from chat_platform.api import (
    admin,
    agents,
    auth,
    chat,
    docs,
    health,
    history,
    memory,
    metrics,
    sessions,
    usage,
    users,
)
from chat_platform.api.openapi import DESCRIPTION, declare_problems, describe_problems
from chat_platform.api.problems import add_problem_handlers, refusal
from chat_platform.settings import Settings
from chat_platform.web.doors import AllowedOrigins, ApiHeaders, BodyLimit

PREFIX = "/api/v1"
ROUTERS = (
    health.router,
    auth.router,
    sessions.router,
    users.router,
    usage.router,
    chat.router,
    history.router,
    admin.router,
    agents.router,
    memory.router,
)


def create_api() -> FastAPI:
    """Return the API; whoever serves it sets `api.state.ctx` first."""
    api = FastAPI(
        title="AI Chat Platform",
        version="1",
        description=DESCRIPTION,
        docs_url=None,  # api/docs.py serves them from here
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
    )
    add_problem_handlers(api)
    for router in ROUTERS:
        declare_problems(router)
        api.include_router(router, prefix=PREFIX)
    api.include_router(docs.router, prefix=PREFIX)
    api.include_router(metrics.router)
    describe_problems(api)

    def settings() -> Settings:
        return api.state.ctx.settings

    # The last one added is asked first.
    api.add_middleware(BodyLimit, refuse=refusal)
    api.add_middleware(AllowedOrigins, settings=settings)
    api.add_middleware(ApiHeaders)
    return api
