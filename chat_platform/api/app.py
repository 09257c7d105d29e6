"""Puts the REST API together. Its routers live one noun a file beside this one."""

from fastapi import FastAPI

from chat_platform.api import auth, health, sessions, users
from chat_platform.api.problems import add_problem_handlers

PREFIX = "/api/v1"


def create_api() -> FastAPI:
    """Return the API; whoever serves it sets `api.state.ctx` first."""
    api = FastAPI(
        title="AI Chat Platform",
        version="1",
        docs_url=f"{PREFIX}/docs",
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
    )
    add_problem_handlers(api)
    for router in (health.router, auth.router, sessions.router, users.router):
        api.include_router(router, prefix=PREFIX)
    return api
