"""Reads an agent's archive page by page, and re-embeds it for another embedding model."""

from dataclasses import dataclass
from datetime import datetime

import orjson
from letta_client import AsyncLetta, NotFoundError, omit

from chat_platform.values.ids import AgentId

_PAGE = 100


@dataclass(frozen=True)
class StoredPassage:
    id: str
    text: str
    created_at: datetime
    tags: tuple[str, ...]
    embedding_model: str | None


async def passage_page(
    client: AsyncLetta,
    agent_id: AgentId,
    *,
    limit: int,
    before: str | None = None,
) -> list[StoredPassage]:
    """Return passages newest first, older than `before`."""
    # Raw: every passage has a vector of 4096 numbers, which the client would turn into objects.
    answer = await client.agents.passages.with_raw_response.list(
        agent_id, limit=limit, ascending=False, before=before or omit
    )
    return [_stored(passage) for passage in orjson.loads(await answer.read())]


async def reembed_passages(client: AsyncLetta, agent_id: AgentId, *, model: str) -> int:
    """Re-embed every passage that was embedded with another model; return their number.

    The agent must already use the new model. Each copy is made before its original is deleted, and
    copies of an interrupted call are recognised by time and text: nothing is lost or duplicated.
    """
    passages = await _all_passages(client, agent_id)
    copied = {(p.created_at, p.text) for p in passages if p.embedding_model == model}
    stale = [p for p in reversed(passages) if p.embedding_model != model]
    for passage in stale:
        if (passage.created_at, passage.text) not in copied:
            await client.agents.passages.create(
                agent_id,
                text=passage.text,
                created_at=passage.created_at,
                tags=list(passage.tags),
            )
        await _delete(client, agent_id, passage.id)
    return len(stale)


async def _all_passages(client: AsyncLetta, agent_id: AgentId) -> list[StoredPassage]:
    found: list[StoredPassage] = []
    while True:
        before = found[-1].id if found else None
        page = await passage_page(client, agent_id, limit=_PAGE, before=before)
        found += page
        if len(page) < _PAGE:
            return found


async def _delete(client: AsyncLetta, agent_id: AgentId, passage_id: str) -> None:
    try:
        await client.agents.passages.delete(passage_id, agent_id=agent_id)
    except NotFoundError:
        return


def _stored(passage: dict) -> StoredPassage:
    config = passage.get("embedding_config") or {}
    return StoredPassage(
        id=passage["id"],
        text=passage["text"],
        created_at=datetime.fromisoformat(passage["created_at"]),
        tags=tuple(passage.get("tags") or ()),
        embedding_model=config.get("embedding_model"),
    )
