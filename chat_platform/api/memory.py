"""The memory of the person's agent: blocks with their history, and the archive."""

from collections.abc import Collection
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from chat_platform.accounts.limits import counts_as
from chat_platform.agents import archive, blocks, memory
from chat_platform.agents.archive import MAX_PASSAGES
from chat_platform.agents.blocks import BlockState
from chat_platform.api.deps import Ctx, MemoryCaller, only_for_its_body
from chat_platform.api.fields import Line, MemoryText, PassageText, RowId
from chat_platform.api.openapi import problems
from chat_platform.errors import Invalid
from chat_platform.models import BlockRevision
from chat_platform.ports import Passage
from chat_platform.process.rate_limits import SEARCHES_OF_ACCOUNT
from chat_platform.values.clock import to_rfc3339
from chat_platform.web.negotiation import header_value, versions

router = APIRouter(prefix="/agent", tags=["memory"])


class BlockView(BaseModel):
    label: str
    description: str
    value: str
    limit: int
    revision: str
    updated_at: str | None


class PassageView(BaseModel):
    id: str
    text: str
    created_at: str


class ArchivalView(BaseModel):
    count: int
    recent: list[PassageView]


class RecallView(BaseModel):
    message_count: int


class MemoryView(BaseModel):
    blocks: list[BlockView]
    archival: ArchivalView
    recall: RecallView


class NewValue(BaseModel):
    value: MemoryText


class CauseView(BaseModel):
    kind: Literal["agent", "person", "undo"]
    turn_id: str | None
    message_id: str | None
    step: int | None


class RevisionView(BaseModel):
    revision: str
    value: str
    changed_at: str
    cause: CauseView


class HistoryView(BaseModel):
    revisions: list[RevisionView]


class Undo(BaseModel):
    revision: RowId


class NewPassage(BaseModel):
    text: PassageText


class PassagesView(BaseModel):
    passages: list[PassageView]
    has_more: bool
    next_before: str | None


@router.get("/memory", dependencies=[only_for_its_body()])
async def read_memory(ctx: Ctx, caller: MemoryCaller) -> MemoryView:
    """An overview: the blocks, the newest passages, and the totals."""
    found = await memory.read_memory(ctx, caller.account)
    return MemoryView(
        blocks=[_block(state) for state in found.blocks],
        archival=ArchivalView(
            count=found.passage_count, recent=[_passage(p) for p in found.recent_passages]
        ),
        recall=RecallView(message_count=found.recall_message_count),
    )


_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The revision that the edit is based on.",
    "schema": {"type": "string", "pattern": '^"[^"\\x00-\\x20]+"$'},
}
"""Read manually, so that a missing header gets its own error code."""


@router.put(
    "/memory/{label}",
    responses=problems(409, 412),
    openapi_extra={"parameters": [_IF_MATCH]},
)
async def write_block(
    label: RowId,
    body: NewValue,
    ctx: Ctx,
    caller: MemoryCaller,
    request: Request,
    response: Response,
) -> BlockView:
    """Replace a block's value, unless it has changed since: then 412 with the current block."""
    state = await blocks.write_block(
        ctx, caller.account, label, body.value, expected_revisions=_revisions(request)
    )
    response.headers["ETag"] = f'"{state.revision}"'
    return _block(state)


@router.get("/memory/{label}/history")
async def read_history(label: RowId, ctx: Ctx, caller: MemoryCaller) -> HistoryView:
    """Every recorded value of a block and what changed it, newest first."""
    revisions = await blocks.block_history(ctx, caller.account, label)
    return HistoryView(revisions=[_revision_view(revision) for revision in revisions])


@router.post("/memory/{label}/undo", responses=problems(409))
async def undo(label: RowId, body: Undo, ctx: Ctx, caller: MemoryCaller) -> BlockView:
    """Restore the value of an earlier revision, as a new revision."""
    return _block(await blocks.undo_block(ctx, caller.account, label, body.revision))


@router.get("/passages", dependencies=[only_for_its_body()], responses=problems(402, 429, 502))
@counts_as(SEARCHES_OF_ACCOUNT)
async def list_passages(
    ctx: Ctx,
    caller: MemoryCaller,
    q: Annotated[
        Line, Query(description="Search text; the closest matches in meaning come first.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PASSAGES)] = 50,
    before: Annotated[
        RowId | None, Query(description="`next_before` from the previous page.")
    ] = None,
) -> PassagesView:
    """The archive, newest first. A search asks the embedding model, and is charged."""
    page = await archive.list_passages(
        ctx, caller.account, query=q.strip(), limit=limit, before=before
    )
    return PassagesView(
        passages=[_passage(p) for p in page.passages],
        has_more=page.has_more,
        next_before=page.next_before,
    )


@router.post("/passages", status_code=201, responses=problems(402, 409, 429, 502))
async def add_passage(body: NewPassage, ctx: Ctx, caller: MemoryCaller) -> PassageView:
    """Add a passage to the archive. Embedding it is charged."""
    return _passage(await archive.add_passage(ctx, caller.account, body.text))


@router.delete("/passages/{passage_id}", status_code=204, responses=problems(409))
async def delete_passage(passage_id: RowId, ctx: Ctx, caller: MemoryCaller) -> None:
    await archive.delete_passage(ctx, caller.account, passage_id)


def _revisions(request: Request) -> Collection[str] | None:
    expected = versions(header_value(request.headers, "if-match"))
    if expected is not None and not expected:
        raise Invalid(
            'Send the revision your edit is based on as `If-Match: "<revision>"`.',
            code="if_match_required",
        )
    return expected


def _block(state: BlockState) -> BlockView:
    return BlockView(
        label=state.block.label,
        description=state.block.description,
        value=state.block.value,
        limit=state.block.limit,
        revision=state.revision,
        updated_at=None if state.updated_at_ms is None else to_rfc3339(state.updated_at_ms),
    )


def _passage(passage: Passage) -> PassageView:
    return PassageView(
        id=passage.id, text=passage.text, created_at=to_rfc3339(passage.created_at_ms)
    )


def _revision_view(row: BlockRevision) -> RevisionView:
    cause = CauseView.model_validate(
        {
            "kind": row.cause,
            "turn_id": row.turn_id,
            "message_id": row.message_id,
            "step": row.step,
        }
    )
    return RevisionView(
        revision=row.revision,
        value=row.value,
        changed_at=to_rfc3339(row.changed_at_ms),
        cause=cause,
    )
