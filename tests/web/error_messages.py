"""Every message that an error in our source carries, found in the source itself."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chat_platform import errors
from chat_platform.errors import PlatformError

SOURCES = Path(errors.__file__).parent
NEVER_ON_A_PAGE = {"api", "proxy", "web", "launcher", "demo_model"}
"""Their errors are for REST clients, the agent server and the operator: in English only."""


@dataclass(frozen=True)
class Made:
    """A place that makes an error, or marks a message with `sentence`."""

    place: str
    message: ast.expr | None

    @property
    def text(self) -> str:
        """The message; "" if it is written elsewhere."""
        match self.message:
            case ast.Constant(value=str(text)):
                return text
            case _:
                return ""


def all_errors() -> list[type[PlatformError]]:
    found: list[type[PlatformError]] = [PlatformError]
    for kind in found:
        found.extend(kind.__subclasses__())
    return found


def made_everywhere() -> list[Made]:
    return [made for file in sorted(SOURCES.rglob("*.py")) for made in _made_in(file)]


def may_be_on_a_page(made: Made) -> bool:
    return made.place.split("/")[0] not in NEVER_ON_A_PAGE


def marked_constants() -> set[str]:
    """The names of all constants that `sentence` marks."""
    return {name for file in SOURCES.rglob("*.py") for name in _marked_in(file)}


def _marked_in(file: Path) -> Iterator[str]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("sentence("):
            yield from (ast.unparse(target) for target in node.targets)


def _made_in(file: Path) -> Iterator[Made]:
    names = {kind.__name__ for kind in all_errors()} | {"sentence"}
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            place = f"{file.relative_to(SOURCES).as_posix()}:{node.lineno}"
            yield Made(place, node.args[0] if node.args else None)
