"""The context that the pages' states find."""

from collections.abc import Iterator

import pytest

from chat_platform.context import AppContext, set_app_context


@pytest.fixture(autouse=True)
def served(ctx: AppContext) -> Iterator[None]:
    set_app_context(ctx)
    yield
    set_app_context(None)
