"""Assembles the REST API. Its routers are beside this module, one file per noun."""

from fastapi import FastAPI

from chat_platform.api import (
    accounts,
    admin,
    agents,
    auth,
    chat,
    docs,
    health,
    history,
    invitations,
    memory,
    metrics,
    operations,
    sign_in_forms,
    usage,
)
from chat_platform.api.openapi import DESCRIPTION, declare_problems, describe_problems
from chat_platform.api.problems import add_problem_handlers, refusal
from chat_platform.api.rate_limit_headers import RateLimitHeaders
from chat_platform.api.request_counts import RequestCounts
from chat_platform.api.request_log import RequestLog
from chat_platform.api.route_table import RouteTable
from chat_platform.settings import Settings
from chat_platform.web.body_types import BodyTypes
from chat_platform.web.doors import AllowedOrigins, ApiHeaders, BodyLimit
from chat_platform.web.methods import Methods

PREFIX = "/api/v1"
ROUTERS = (
    health.router,
    auth.router,
    sign_in_forms.router,
    accounts.router,
    usage.router,
    chat.router,
    history.router,
    admin.router,
    operations.router,
    invitations.router,
    agents.router,
    memory.router,
)


def create_api() -> FastAPI:
    """Return the API; `api.state.ctx` must be set before it is served."""
    api = FastAPI(
        title="AI Chat Platform",
        version="1",
        description=DESCRIPTION,
        docs_url=None,  # api/docs.py serves them from here
        redoc_url=None,
        redirect_slashes=False,  # Methods answers such a path itself
        telemetry={"logs": False, "auto_configure": False},  # it would quote errors; ours doesn't
        strict_content_type=False,  # JSON without a type is JSON; same_site.py guards cookies
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

    api.state.routes = routes = RouteTable(lambda: api.routes)
    # The last one added is asked first.
    api.add_middleware(BodyTypes, refuse=refusal, body_of=routes.body_of)
    api.add_middleware(Methods, methods_at=routes.methods_at)
    api.add_middleware(BodyLimit, refuse=refusal)
    api.add_middleware(RateLimitHeaders)
    api.add_middleware(AllowedOrigins, settings=settings)
    api.add_middleware(ApiHeaders)
    api.add_middleware(RequestCounts, route_at=routes.template_at)
    api.add_middleware(RequestLog, route_at=routes.template_at)
    return api
