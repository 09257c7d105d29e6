"""What of LiteLLM's answers goes on to the caller: everything but its own notes and its keys."""

import re
from collections.abc import Iterable

import orjson

from chat_platform.proxy import problems
from chat_platform.proxy.problems import Problem

_DROPPED = frozenset(
    (
        *(b"connection", b"keep-alive", b"transfer-encoding", b"te", b"trailer", b"upgrade"),
        *(b"proxy-authenticate", b"content-length", b"date", b"server", b"set-cookie"),
    )
)
_LITELLM = (b"x-litellm-", b"llm_provider-x-litellm-")
# Keys, and the hashes by which LiteLLM calls them.
_KEYS = re.compile(rb"\bsk-[\w.\-]+|\b[0-9a-f]{64}\b")


def passed_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the answer's headers without the connection's own and LiteLLM's notes."""
    lower = ((name.lower(), value) for name, value in headers)
    return [
        (name, value)
        for name, value in lower
        if name not in _DROPPED and not name.startswith(_LITELLM)
    ]


def without_keys(text: bytes) -> bytes:
    return _KEYS.sub(b"[key]", text)


def error_type(body: bytes) -> str:
    """Return the `type` of an error in OpenAI's shape, `unknown` for anything else."""
    try:
        kind = orjson.loads(body)["error"]["type"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return "unknown"
    return kind if isinstance(kind, str) else "unknown"


def replaced_error(status: int, body: bytes) -> Problem | None:
    """Return what is said instead of an error of LiteLLM's, None where its own words go on."""
    if status in (401, 403):
        return problems.gateway_refused(status)
    if error_type(body) == "budget_exceeded":
        return problems.budget_spent()
    return None
