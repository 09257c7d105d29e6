"""What is passed on of LiteLLM's responses: everything except its own headers and its keys."""

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
# Keys, and LiteLLM's hashes of them.
_KEYS = re.compile(rb"\bsk-[\w.\-]+|\b[0-9a-f]{64}\b")


def passed_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the response's headers, without hop-by-hop headers and LiteLLM's own."""
    lower = ((name.lower(), value) for name, value in headers)
    return [
        (name, value)
        for name, value in lower
        if name not in _DROPPED and not name.startswith(_LITELLM)
    ]


def without_keys(text: bytes) -> bytes:
    return _KEYS.sub(b"[key]", text)


def error_type(body: bytes) -> str:
    """Return the `type` of an error in OpenAI's format, `unknown` for anything else."""
    try:
        kind = orjson.loads(body)["error"]["type"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return "unknown"
    return kind if isinstance(kind, str) else "unknown"


def replaced_error(status: int, body: bytes) -> Problem | None:
    """Return the replacement for an error from LiteLLM, None if its own is passed on."""
    if status in (401, 403):
        return problems.gateway_refused(status)
    if error_type(body) == "budget_exceeded":
        return problems.budget_spent()
    return None
