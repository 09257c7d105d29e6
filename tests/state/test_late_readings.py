"""Of two readings the later one counts, whichever arrives first.

While a background event reads, other handlers run. What it read outside of the state's lock may be
old when it is shown: a list is read under the lock, or counted, and shown only if it is the newest.

The source of each state is searched, one function at a time.
"""

import ast
import inspect
import sys
from collections.abc import Iterator

import pytest

from tests.state.test_every_handler import HANDLERS

STATES = sorted({handler.state.__module__ for handler in HANDLERS})
Function = ast.FunctionDef | ast.AsyncFunctionDef


def shown_late(source: str) -> list[str]:
    """Return the names of what was read outside of the lock and is shown without a check."""
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, Function)]
    return [f"{f.name}: {name}" for f in functions for name in sorted(_shown_late_in(f))]


def _shown_late_in(function: Function) -> set[str]:
    blocks = [node for node in ast.walk(function) if _is_locked(node)]
    locked = {id(node) for block in blocks for node in ast.walk(block)}
    read = {
        name
        for node in ast.walk(function)
        if id(node) not in locked and _awaits(node)
        for name in _assigned(node)
    }
    return {name for block in blocks if not _is_checked(block) for name in _used(block) & read}


def _is_locked(node: ast.AST) -> bool:
    return isinstance(node, ast.AsyncWith) and any(
        ast.unparse(item.context_expr) == "self" for item in node.items
    )


def _awaits(node: ast.AST) -> bool:
    """Tell whether this statement's value comes from elsewhere."""
    if isinstance(node, ast.AsyncFor):
        return True
    return isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and any(
        isinstance(part, ast.Await) for part in ast.walk(node)
    )


def _assigned(node: ast.AST) -> Iterator[str]:
    for target in [*getattr(node, "targets", []), getattr(node, "target", None)]:
        if target is not None:
            yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))


def _used(block: ast.AST) -> set[str]:
    return {
        node.id
        for node in ast.walk(block)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def _is_checked(block: ast.AST) -> bool:
    """Tell whether the block compares a counter of its own state with what it was."""
    return any(
        _is_counter(part)
        for node in ast.walk(block)
        if isinstance(node, ast.Compare)
        for side in (node.left, *node.comparators)
        for part in (side.elts if isinstance(side, ast.Tuple) else [side])
    )


def _is_counter(value: ast.expr) -> bool:
    return isinstance(value, ast.Attribute) and ast.unparse(value).startswith("self._")


@pytest.mark.parametrize("module", STATES)
def test_no_handler_shows_an_older_reading_after_a_newer(module: str):
    assert shown_late(inspect.getsource(sys.modules[module])) == []


LATE = """
async def watch(self):
    async with self:
        reader = self._reader(await self._account())
    async for _ in news_of(reader):
        newest = await reader.newest()
        async with self:
            self._take(newest)
"""
CHECKED_FOR_ANOTHER_THING = """
async def settle(self, reader, follower):
    newest = await reader.newest()
    async with self:
        live = await self.get_state(LiveState)
        if live._follower == follower and (await self._account()).id == reader.account_id:
            self._take(newest)
"""
UNDER_THE_LOCK = """
async def watch(self):
    async with self:
        reader = self._reader(await self._account())
    async for _ in news_of(reader):
        async with self:
            self._take(await reader.newest())
"""
COUNTED = """
async def refresh(self):
    async with self:
        self._readings += 1
        reading = self._readings
    newest = await read()
    async with self:
        if reading == self._readings:
            self._take(newest)
"""


@pytest.mark.parametrize(
    ("source", "late"),
    [
        (LATE, ["watch: newest"]),
        (CHECKED_FOR_ANOTHER_THING, ["settle: newest"]),
        (UNDER_THE_LOCK, []),
        (COUNTED, []),
    ],
)
def test_a_late_reading_is_told_from_a_safe_one(source: str, late: list[str]):
    assert shown_late(source) == late
