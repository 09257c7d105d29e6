"""Markdown to safe HTML, with bounded work. Knows no messages and no pages."""

from collections.abc import Iterator
from html import escape

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from chat_platform.web.bare_addresses import link_bare_addresses
from chat_platform.web.code_colours import paint
from chat_platform.web.i18n import words_in
from chat_platform.web.markdown_parts import parts_of
from chat_platform.web.markdown_work import MAX_DEPTH, TooComplex, Work, bound, work_in


def to_html(text: str, language: str = "en") -> str:
    """Render a person's or a model's Markdown: no raw HTML, no images, links only to the web.

    `language` is for the buttons. Text that is too complex is shown as plain text.
    """
    return "".join(html_parts(text, language))


def html_parts(text: str, language: str = "en") -> Iterator[str]:
    """Render in short parts, which together are the whole text."""
    say = words_in(language)
    work = Work(len(text))
    rest = len(text)
    for part in parts_of(text):
        try:
            yield _MARKDOWN.render(part, {"copy": say("Copy code"), "work": work})
        except TooComplex:
            break
        rest -= len(part)
    if rest:
        why = say("The formatting is too complex to show. This is the original text.")
        yield f'<p class="as-written">{escape(why)}</p>'
        yield f'<pre class="as-written" tabindex="0">{escape(text[len(text) - rest :])}</pre>'


def _fence(
    self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    """Wrap code in a figure with the language and a copy button, handled by page.js."""
    token = tokens[index]
    language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
    code = paint(token.content, language, work_in(env)) or escape(token.content)
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
    # A remote image would reveal to its host when and where the answer is read.
    return f'<span class="no-image">{escape(tokens[index].content)}</span>'


def _is_web_link(url: str) -> bool:
    return url.lower().startswith(("https://", "http://", "mailto:"))


def _build() -> MarkdownIt:
    # "js-default" leaves raw HTML as text.
    markdown = MarkdownIt("js-default", {"linkify": True, "maxNesting": MAX_DEPTH}).enable("table")
    link_bare_addresses(markdown)
    bound(markdown)
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
