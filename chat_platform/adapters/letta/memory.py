"""Reads and changes an agent's memory in Letta: its blocks and its archive."""

from datetime import datetime

from letta_client import AsyncLetta
from letta_client.types import BlockResponse
from letta_client.types.agents.passage_search_response import Result

from chat_platform.adapters.letta.errors import translated
from chat_platform.adapters.letta.passages import StoredPassage, passage_page
from chat_platform.agents.blocks import no_block
from chat_platform.errors import NotFound
from chat_platform.ports import MemoryBlock, Passage
from chat_platform.values.ids import AgentId


class LettaMemory:
    """AgentMemory on Letta. Callers must enforce limits: Letta does not."""

    def __init__(self, client: AsyncLetta) -> None:
        self._client = client

    async def blocks(self, agent_id: AgentId) -> list[MemoryBlock]:
        with translated():
            page = await self._client.agents.blocks.list(agent_id)
        return [_block(block) for block in page.items]

    async def write_block(self, agent_id: AgentId, label: str, value: str) -> MemoryBlock:
        with translated(missing=no_block()):
            return _block(
                await self._client.agents.blocks.update(label, agent_id=agent_id, value=value)
            )

    async def passages(
        self, agent_id: AgentId, *, query: str = "", limit: int = 50, before: str | None = None
    ) -> list[Passage]:
        with translated(missing=_no_passage()):
            if query:
                found = await self._client.agents.passages.search(
                    agent_id, query=query, top_k=limit
                )
                return [_found(result) for result in found.results]
            page = await passage_page(self._client, agent_id, limit=limit, before=before)
            return [_passage(stored) for stored in page]

    async def count(self, agent_id: AgentId) -> tuple[int, int]:
        with translated():
            context = await self._client.get(f"/v1/agents/{agent_id}/context", cast_to=object)
        assert isinstance(context, dict)
        return context["num_archival_memory"], context["num_recall_memory"]

    async def add_passage(self, agent_id: AgentId, text: str) -> Passage:
        with translated():
            made = await self._client.agents.passages.create(agent_id, text=text)
        passage = made[0]
        assert passage.id
        assert passage.created_at
        return Passage(passage.id, passage.text, _ms(passage.created_at))

    async def delete_passage(self, agent_id: AgentId, passage_id: str) -> None:
        """Delete through the agent's own archive: Letta's route by agent deletes any passage."""
        with translated(missing=_no_passage()):
            archives = await self._client.archives.list(agent_id=agent_id)
            if not archives.items:
                raise _no_passage()
            await self._client.archives.passages.delete(passage_id, archive_id=archives.items[0].id)


def _no_passage() -> NotFound:
    return NotFound("There is no such memory.")


def _block(block: BlockResponse) -> MemoryBlock:
    return MemoryBlock(
        label=block.label or "",
        description=block.description or "",
        value=block.value,
        limit=block.limit or 0,
        updated_at_ms=None,
    )


def _passage(stored: StoredPassage) -> Passage:
    return Passage(stored.id, stored.text, _ms(stored.created_at))


def _found(result: Result) -> Passage:
    return Passage(result.id, result.content, _ms(datetime.fromisoformat(result.timestamp)))


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
