"""What routes ask for: the context and, later in the chain, who is calling."""

from typing import Annotated

from fastapi import Depends, Request

from chat_platform.context import AppContext


def _context(request: Request) -> AppContext:
    return request.app.state.ctx


Ctx = Annotated[AppContext, Depends(_context)]
