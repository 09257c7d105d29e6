"""Parses the `Forwarded` header (RFC 7239): from whom each proxy received the request."""

import re
from dataclasses import dataclass

_PAIR = re.compile(r"""[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*)[ \t]*""")
_NOTHING = re.compile(r"[ \t]*(?=[,;]|\Z)")


@dataclass(frozen=True)
class Hop:
    """One proxy's entry; empty where it says nothing."""

    address: str = ""
    proto: str = ""


def read_forwarded(value: str) -> list[Hop]:
    """Return the hops, the one nearest to the client first; none if anything is malformed.

    After an unclosed quote it is unclear which hop wrote what.
    """
    hops: list[Hop] = []
    pairs: dict[str, str] = {}
    place = 0
    while place <= len(value):
        found = _PAIR.match(value, place) or _NOTHING.match(value, place)
        if found is None:
            return []
        if found.re is _PAIR:
            pairs.setdefault(found[1].lower(), _unquoted(found[2]))
        place = found.end()
        end = value[place : place + 1]
        if end in (",", "") and pairs:
            hops.append(Hop(pairs.get("for", ""), pairs.get("proto", "").lower()))
            pairs = {}
        elif end not in (",", ";", ""):
            return []
        place += 1
    return hops


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
