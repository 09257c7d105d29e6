"""Markdown to safe HTML, once per finished block. Knows no message and no page."""

from functools import lru_cache
from html import escape

from linkify_it import LinkifyIt
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from chat_platform.web.i18n import words_in

_FORMAT = HtmlFormatter(nowrap=True)
_FREEZE_FROM_CHARS = 400
_FENCE = "```"


def split_frozen(text: str) -> int:
    """Return where the finished part of an arriving text ends: a blank line outside a fence.

    0 while the text is short, so that pages get few and big blocks.
    """
    if len(text) < _FREEZE_FROM_CHARS:
        return 0
    at = text.rfind("\n\n")
    while at > 0 and text.count(_FENCE, 0, at) % 2:
        at = text.rfind("\n\n", 0, at)
    return at + 2 if at > 0 else 0


@lru_cache(maxsize=512)
def to_html(text: str, language: str = "en") -> str:
    """Render a person's or a model's Markdown: no raw HTML, no images, links only to the web.

    `language` is the one of the buttons.
    """
    say = words_in(language)
    return _MARKDOWN.render(text, {"copy": say("Copy code")})


def _paint(code: str, language: str, _attributes: str) -> str:
    try:
        return highlight(code, get_lexer_by_name(language), _FORMAT) if language else ""
    except ClassNotFound:
        return ""


def _fence(
    self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    """Wrap code in a figure whose bar names the language; page.js makes its button copy."""
    token = tokens[index]
    language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
    code = _paint(token.content, language, "") or escape(token.content)
    button = f'<button type="button" class="quiet" data-copy-code>{escape(env["copy"])}</button>'
    caption = f"<figcaption>{escape(language)}{button}</figcaption>"
    return f'<figure class="code">{caption}<pre tabindex="0"><code>{code}</code></pre></figure>\n'


def _link_open(
    self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    tokens[index].attrSet("target", "_blank")
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return self.renderToken(tokens, index, options, env)


def _image(
    self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    # A remote image would tell its host when and where the answer is read.
    return f'<span class="no-image">{escape(tokens[index].content)}</span>'


def _is_web_link(url: str) -> bool:
    return url.lower().startswith(("https://", "http://", "mailto:"))


def _build() -> MarkdownIt:
    # "js-default" leaves raw HTML as text.
    markdown = MarkdownIt("js-default", {"linkify": True, "typographer": False}).enable("table")
    # Only with its scheme is an address one: "main.py" is a file.
    markdown.linkify = LinkifyIt(options={"fuzzy_link": False, "fuzzy_email": False})
    markdown.validateLink = _is_web_link
    markdown.add_render_rule("fence", _fence)
    markdown.add_render_rule("link_open", _link_open)
    markdown.add_render_rule("image", _image)
    markdown.add_render_rule("table_open", _table_open)
    markdown.add_render_rule("table_close", _table_close)
    return markdown


def _table_open(
    self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    return '<div class="table" tabindex="0"><table>\n'


def _table_close(
    self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    return "</table></div>\n"


_MARKDOWN = _build()
