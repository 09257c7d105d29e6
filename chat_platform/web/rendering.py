"""Renders Markdown off the event loop, with a cache.

One thread for all: however many pages wait for long answers, the loop competes with only one
thread. Parts of texts take turns, so that nobody waits for another's whole text.
"""

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from chat_platform.web.markdown_html import html_parts

MAX_REMEMBERED_CHARACTERS = 8_000_000

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="markdown")


class Rendered:
    """The HTML of recently used texts, up to a total number of characters."""

    def __init__(self, most: int = MAX_REMEMBERED_CHARACTERS) -> None:
        self._most = most
        self._html: OrderedDict[tuple[str, str], str] = OrderedDict()
        self.characters = 0

    def get(self, text: str, language: str) -> str | None:
        html = self._html.get((text, language))
        if html is not None:
            self._html.move_to_end((text, language))
        return html

    def keep(self, text: str, language: str, html: str) -> None:
        if (text, language) in self._html or len(text) + len(html) > self._most // 4:
            return
        self._html[text, language] = html
        self.characters += len(text) + len(html)
        while self.characters > self._most:
            (oldest, _), forgotten = self._html.popitem(last=False)
            self.characters -= len(oldest) + len(forgotten)


_rendered = Rendered()


async def html_of(text: str, language: str) -> str:
    """Return the HTML of a permanent text."""
    html = _rendered.get(text, language)
    if html is None:
        html = await passing_html_of(text, language)
        _rendered.keep(text, language, html)
    return html


async def passing_html_of(text: str, language: str) -> str:
    """Return the HTML of a text shown only for a moment."""
    loop = asyncio.get_running_loop()
    parts, html = html_parts(text, language), list[str]()
    while (part := await loop.run_in_executor(_thread, next, parts, None)) is not None:
        html.append(part)
    return "".join(html)
