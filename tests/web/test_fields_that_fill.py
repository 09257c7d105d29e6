"""A field that the page's loading fills takes nothing before: what was typed would be lost."""

import ast
from collections.abc import Iterator
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "chat_platform" / "pages"
SHOWN_AFTER_LOADING = {"memory.py": "the editor opens by a button of a block that is there"}


def _filled_fields(page: Path) -> Iterator[ast.Call]:
    """Calls with a `default_value` that reads a state."""
    for call in ast.walk(ast.parse(page.read_text())):
        if isinstance(call, ast.Call):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            if "State." in given.get("default_value", ""):
                yield call


def test_a_field_that_is_filled_later_is_disabled_until_then():
    found = {page.name: list(_filled_fields(page)) for page in PAGES.glob("*.py")}
    found = {name: fields for name, fields in found.items() if fields}

    assert set(SHOWN_AFTER_LOADING) < set(found)
    for name in found.keys() - SHOWN_AFTER_LOADING:
        for field in found[name]:
            assert "disabled" in [keyword.arg for keyword in field.keywords], ast.unparse(field)
