"""Which methods each path has and which body they take, documented or not, as the router knows."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from fastapi.params import Form
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, compile_path

BodyKind = Literal["json", "form"]


@dataclass(frozen=True)
class _Known:
    path: str
    pattern: re.Pattern[str]
    methods: frozenset[str]
    body: BodyKind | None


class RouteTable:
    """Reads the router once, when it is first asked: by then every route is there."""

    def __init__(self, routes: Callable[[], Sequence[BaseRoute]]) -> None:
        self._routes = routes

    def methods_at(self, path: str) -> frozenset[str]:
        matching = (known.methods for known in self._known if known.pattern.match(path))
        return frozenset[str]().union(*matching)

    def template_at(self, path: str) -> str:
        """Return the path of the route there, with the names of its parameters; `other` if none."""
        return next((known.path for known in self._known if known.pattern.match(path)), "other")

    def body_of(self, method: str, path: str) -> BodyKind | None:
        """Return how the route's body is sent; None if it takes none."""
        for known in self._known:
            if method in known.methods and known.pattern.match(path):
                return known.body
        return None

    @cached_property
    def _known(self) -> list[_Known]:
        return [
            _Known(
                path=route.path,
                pattern=compile_path(route.path)[0],
                methods=_with_head(route.methods or ()),
                body=_kind(getattr(route, "body_field", None)),
            )
            for route in iter_route_contexts(self._routes())
            if route.path is not None
        ]


def _with_head(methods: Collection[str]) -> frozenset[str]:
    """Whatever answers GET also answers HEAD, see `web/methods.py`."""
    return frozenset({*methods, "HEAD"} if "GET" in methods else methods)


def _kind(body_field: object) -> BodyKind | None:
    if body_field is None:
        return None
    return "form" if isinstance(getattr(body_field, "field_info", None), Form) else "json"
