"""Highlights code by its language, if that takes little time."""

from collections.abc import Iterator
from functools import cache
from io import StringIO

from pygments.formatters.html import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import _TokenType  # pyright: ignore[reportPrivateUsage]

from chat_platform.web.markdown_work import PaintTime, TooComplex, Work

MAX_CHARACTERS = 40_000
_PART_CHARACTERS = 4_000
"""The part highlighted at once, in whole lines: lexers may look ahead repeatedly."""
_MAX_LINE_CHARACTERS = 400
# Some of pygments' 500 lexers take seconds for a hostile line: only common languages are
# highlighted, and the time per text is bounded.
LANGUAGES = frozenset(
    (
        *("bash", "c", "c++", "cpp", "c#", "csharp", "cs", "css", "dart", "diff", "docker"),
        *("dockerfile", "elixir", "go", "golang", "graphql", "haskell", "html", "java"),
        *("javascript", "js", "json", "jsx", "kotlin", "lua", "nginx", "objective-c", "perl"),
        *("php", "powershell", "protobuf", "py", "pycon", "python", "r", "rb", "ruby", "rs"),
        *("rust", "scala", "scss", "sh", "shell", "sql", "swift", "terraform", "toml", "ts"),
        *("tsx", "typescript", "xml", "yaml", "yml", "zig", "zsh"),
    )
)
_STEPS_A_BLOCK = 40
_FORMAT = HtmlFormatter(nowrap=True)


def paint(code: str, language: str, work: Work) -> str:
    """Return the code as HTML; "" if it is not highlighted."""
    if language.lower() not in LANGUAGES or not _is_small(code):
        return ""
    painted, left = StringIO(), PaintTime(work)
    try:
        for part in _parts(code):
            work.spend(_STEPS_A_BLOCK)
            _FORMAT.format(_pieces(part, _lexer(language.lower()), left), painted)
    except TooComplex:
        return ""
    return painted.getvalue()


def _is_small(code: str) -> bool:
    if len(code) > MAX_CHARACTERS:
        return False
    return max(map(len, code.split("\n"))) <= _MAX_LINE_CHARACTERS


def _parts(code: str) -> Iterator[str]:
    start = 0
    while len(code) - start > _PART_CHARACTERS:
        end = code.rfind("\n", start, start + _PART_CHARACTERS) + 1
        yield code[start:end]
        start = end
    yield code[start:]


@cache
def _lexer(language: str) -> Lexer:
    # Blank lines at the edges of a part belong to the code.
    return get_lexer_by_name(language, stripnl=False)


def _pieces(code: str, lexer: Lexer, left: PaintTime) -> Iterator[tuple[_TokenType, str]]:
    for piece in lexer.get_tokens(code):
        if left.is_over:
            raise TooComplex
        yield piece
