"""Turns addresses in a text into links, in linear time.

markdown-it's own rules search the whole text again for every address. Addresses contain no spaces:
here each word is examined by itself.
"""

import re
from collections.abc import Iterator

from linkify_it import LinkifyIt
from linkify_it.main import Match
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from chat_platform.web.markdown_work import work_in

MAX_ADDRESS_CHARACTERS = 2_000
"""The length browsers and servers agree on; longer words are not addresses."""

_WORD = re.compile(r"[^\s<>]+")
_WORD_BEGINNING = re.compile(rf"[^\s<>]{{,{MAX_ADDRESS_CHARACTERS}}}")
_SCHEME = re.compile(r"(?<![a-z0-9.+-])https?$", re.IGNORECASE)
_LONGEST_SCHEME = len("https")
# Only addresses with a scheme count: "main.py" is a file.
_ADDRESSES = LinkifyIt(options={"fuzzy_link": False, "fuzzy_email": False})


def link_bare_addresses(markdown: MarkdownIt) -> None:
    """Replace markdown-it's own rules with these."""
    markdown.linkify = _ADDRESSES
    markdown.inline.ruler.at("linkify", _address_in_line)
    markdown.core.ruler.at("linkify", _addresses_in_text)


def _address_in_line(state: StateInline, silent: bool) -> bool:
    """Consume an address as a whole, before its `_` and `*` are read as emphasis."""
    if state.linkLevel > 0 or not state.src.startswith("://", state.pos):
        return False
    scheme = _SCHEME.search(state.src, max(0, state.pos - _LONGEST_SCHEME), state.pos)
    if not scheme:
        return False
    word = _WORD_BEGINNING.match(state.src, scheme.start(), state.posMax)
    words = word.group() if word else ""
    work_in(state.env).spend(len(words) // 20)
    found = _ADDRESSES.match_at_start(words)
    # Not before text from an escape or an entity.
    if not found or not state.pending.endswith(scheme.group()):
        return False
    url = found.url.rstrip("*")
    href = state.md.normalizeLink(url)
    if not state.md.validateLink(href):
        return False
    if not silent:
        state.pending = state.pending[: -len(scheme.group())]
        state.push("link_open", "a", 1).attrs = {"href": href}
        state.push("text", "", 0).content = state.md.normalizeLinkText(url)
        state.push("link_close", "a", -1)
    state.pos += len(url) - len(scheme.group())
    return True


def _addresses_in_text(state: StateCore) -> None:
    for block in state.tokens:
        if block.type == "inline" and _may_have_address(block.content):
            block.children = list(_with_links(state, block.children or []))


def _may_have_address(text: str) -> bool:
    return "://" in text or "mailto:" in text.lower()


def _with_links(state: StateCore, tokens: list[Token]) -> Iterator[Token]:
    link_depth = 0
    for token in tokens:
        link_depth += token.nesting if token.tag == "a" else 0
        if token.type == "text" and not link_depth and _may_have_address(token.content):
            yield from _split(state, token)
        else:
            yield token


def _split(state: StateCore, token: Token) -> Iterator[Token]:
    text, done = token.content, 0
    for start, end, found in _found(state, text):
        href = state.md.normalizeLink(found.url)
        if not state.md.validateLink(href):
            continue
        if start > done:
            yield _text(text[done:start], token.level)
        yield Token("link_open", "a", 1, attrs={"href": href}, level=token.level)
        yield _text(state.md.normalizeLinkText(found.text), token.level + 1)
        yield Token("link_close", "a", -1, level=token.level)
        done = end
    if done < len(text):
        yield _text(text[done:], token.level)


def _found(state: StateCore, text: str) -> Iterator[tuple[int, int, Match]]:
    for word in _WORD.finditer(text):
        if len(word.group()) > MAX_ADDRESS_CHARACTERS or not _may_have_address(word.group()):
            continue
        work_in(state.env).spend(len(word.group()) // 2)
        for found in _ADDRESSES.match(word.group()) or ():
            yield word.start() + found.index, word.start() + found.last_index, found


def _text(content: str, level: int) -> Token:
    return Token("text", "", 0, content=content, level=level)
