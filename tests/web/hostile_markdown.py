"""Texts on which Markdown parsers are known to be slow, in any length."""

from collections.abc import Callable

Maker = Callable[[int], str]


def _repeated(piece: str, *, before: str = "", after: str = "") -> Maker:
    return lambda n: before + piece * (n // len(piece)) + after


def _rising_ticks(n: int) -> str:
    return " ".join("`" * length for length in range(1, int((2 * n) ** 0.5)))


HOSTILE: dict[str, Maker] = {
    "addresses": _repeated("https://x "),
    "joined addresses": _repeated("https://x"),
    "addresses in lines": _repeated("https://x\n"),
    "schemes": _repeated("mailto:"),
    "ports": _repeated("http://a:"),
    "parentheses in an address": _repeated("(", before="http://x.com/"),
    "brackets in an address": _repeated("[(a", before="http://x.com/"),
    "users of an address": _repeated("a@", before="http://"),
    "open brackets": _repeated("["),
    "nested brackets": lambda n: "[" * (n // 2) + "]" * (n // 2),
    "begun links": _repeated("[a]("),
    "begun titles": _repeated('[a](b "'),
    "begun images": _repeated("!["),
    "nested links": lambda n: "[" * 30 + "a" + "](b)" * 30 + "[a](b" * (n // 5),
    "emphasis": _repeated("*a_ "),
    "unclosed emphasis": _repeated("**x *y "),
    "stars": _repeated("*"),
    "strikes": _repeated("~~a "),
    "rising ticks": _rising_ticks,
    "quotes": _repeated(">"),
    "quoted lines": _repeated(">" * 50 + " a\n"),
    "lazy quotes": _repeated("b\n", before=">" * 50 + " a\n"),
    "lists in a line": _repeated("- "),
    "deep lists": lambda n: "".join(" " * (2 * (i % 90)) + "- a\n" for i in range(n // 90)),
    "a table with empty cells": _repeated("a\n", before="|a" * 99 + "|\n" + "|-" * 99 + "|\n"),
    "a wide table": lambda n: "|a" * (n // 4) + "|\n" + "|-" * (n // 4) + "|\n",
    "definitions": _repeated("[a]: b\n"),
    "begun definitions": _repeated("[a\n"),
    "begun entities": _repeated("&"),
    "begun tags": _repeated("<a:"),
    "backslashes": _repeated("\\"),
    "blanks": _repeated(" ", after="a"),
    "blank lines": _repeated("\n"),
    "headings": _repeated("lead\n=b\n"),
    "fences": _repeated("```\n"),
    "painted fences": _repeated("```python\nx=1\n```\n"),
    "fences of unknown languages": _repeated("```xyz\nx=1\n```\n"),
    "blank lines in a fence": _repeated("x\n\n", before="```\n"),
    "quoting in code": _repeated('"\\', before="```go\n"),
    "lines of code": _repeated(" \n", before="```c\n"),
    "one word": _repeated("a"),
    "letters of an address": _repeated("字", before="http://", after=".com"),
}
