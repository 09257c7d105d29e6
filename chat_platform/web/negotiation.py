"""Content negotiation and conditional requests: what a client prefers, and which version it has.

Werkzeug parses the headers (RFC 9110, RFC 7240); this module decides what they mean. Each function
takes a header's whole value: `header_value` joins one that came in several lines.
"""

from collections.abc import Collection, Iterable, Mapping

from starlette.datastructures import Headers
from werkzeug.datastructures import Accept, MIMEAccept
from werkzeug.http import parse_accept_header, parse_etags, parse_list_header

IDENTITY = "identity"


def header_value(headers: Headers, name: str) -> str:
    """Return the header's lines joined into one list (RFC 9110, 5.3)."""
    return ", ".join(headers.getlist(name))


def prefers(accept: str, wanted: str, *, to: str) -> bool:
    """Tell whether the client prefers media type `wanted` to the default `to`.

    If both are equal, the one that is named wins: `*/*` asks for nothing in particular.
    """
    # Parameters such as charset do not make a different media type here.
    ranges = [(_bare(item), quality) for item, quality in parse_accept_header(accept)]
    accepted = MIMEAccept(ranges)
    quality, usual = accepted.quality(wanted), accepted.quality(to)
    is_named = any(item == wanted for item, _ in ranges)
    return quality > 0 and (quality > usual or (quality == usual and is_named))


def best_language(accept_language: str, languages: Iterable[str]) -> str | None:
    """Return the preferred one of these languages; a region counts as its language."""
    understood = [
        (tag.partition("-")[0].lower(), quality)
        for tag, quality in parse_accept_header(accept_language)
        # Refusing British English does not refuse English altogether.
        if quality > 0 or "-" not in tag
    ]
    return Accept(understood).best_match(languages)


def best_encoding(accept_encoding: str, packed: Mapping[str, bytes]) -> str:
    """Return the content coding that the client prefers; of equal ones the first.

    Only named ones count: `*` is sent by clients that support none of ours.
    """
    named = {item.lower(): quality for item, quality in parse_accept_header(accept_encoding)}
    best = max((*packed, IDENTITY), key=lambda coding: named.get(coding, 0))
    return best if named.get(best, 0) > 0 else IDENTITY


def has_version(if_none_match: str, etag: str) -> bool:
    """Tell whether the client already has this version of an existing resource."""
    return parse_etags(if_none_match.strip()).contains_weak(_opaque(etag))


def versions(if_match: str) -> Collection[str] | None:
    """Return the versions that the client wants to change; None for any (`*`).

    Weak tags count like strong ones: our versions identify values, not bytes, and a proxy that
    compresses a response makes its tag weak.
    """
    tags = parse_etags(if_match.strip())
    return None if tags.star_tag else tags.as_set(include_weak=True)


def has_preference(prefer: str, token: str) -> bool:
    """Tell whether a Prefer header names the preference."""
    named = (part.partition(";")[0].partition("=")[0] for part in parse_list_header(prefer))
    return token in {name.strip().lower() for name in named}


def _bare(media_range: str) -> str:
    return media_range.partition(";")[0].strip().lower()


def _opaque(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')
