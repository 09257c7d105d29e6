"""What the person's agent remembers: blocks with their history, and the archive."""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Response
from pydantic import AfterValidator, BaseModel, StringConstraints

from chat_platform import memory
from chat_platform.api.deps import Ctx, MemoryCaller
from chat_platform.api.fields import Line, RowId, without_nul
from chat_platform.api.openapi import problems
from chat_platform.clock import to_rfc3339
from chat_platform.errors import Invalid
from chat_platform.memory import MAX_PASSAGES, BlockState
from chat_platform.models import BlockRevision
from chat_platform.ports import Passage

router = APIRouter(prefix="/agent", tags=["memory"])

# Bounded for the parser's sake; the memory's own limits are tighter and have their own words.
_PARSED_CHARACTERS = 100_000


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
    value: Annotated[
        str, StringConstraints(max_length=_PARSED_CHARACTERS), AfterValidator(without_nul)
    ]


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
    text: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=_PARSED_CHARACTERS),
        AfterValidator(without_nul),
    ]


class PassagesView(BaseModel):
    passages: list[PassageView]
    has_more: bool
    next_before: str | None


@router.get("/memory")
async def read_memory(ctx: Ctx, caller: MemoryCaller) -> MemoryView:
    """Everything at a glance: blocks, the newest of the archive, and how much there is."""
    found = await memory.read_memory(ctx, caller.account)
    return MemoryView(
        blocks=[_block(state) for state in found.blocks],
        archival=ArchivalView(
            count=found.passage_count, recent=[_passage(p) for p in found.recent_passages]
        ),
        recall=RecallView(message_count=found.recall_message_count),
    )


@router.put("/memory/{label}", responses=problems(409, 412))
async def write_block(
    label: RowId,
    body: NewValue,
    ctx: Ctx,
    caller: MemoryCaller,
    response: Response,
    if_match: Annotated[str | None, Header(description="The revision that was edited.")] = None,
) -> BlockView:
    """Replace a block's value, unless it changed since: then 412 with the current block."""
    state = await memory.write_block(
        ctx, caller.account, label, body.value, expected_revision=_revision(if_match)
    )
    response.headers["ETag"] = f'"{state.revision}"'
    return _block(state)


@router.get("/memory/{label}/history")
async def read_history(label: RowId, ctx: Ctx, caller: MemoryCaller) -> HistoryView:
    """Every recorded value of a block and what changed it, newest first."""
    revisions = await memory.block_history(ctx, caller.account, label)
    return HistoryView(revisions=[_revision_view(revision) for revision in revisions])


@router.post("/memory/{label}/undo", responses=problems(409))
async def undo(label: RowId, body: Undo, ctx: Ctx, caller: MemoryCaller) -> BlockView:
    """Give a block the value of an earlier revision, as a new one."""
    return _block(await memory.undo_block(ctx, caller.account, label, body.revision))


@router.get("/passages", responses=problems(402, 429, 502))
async def list_passages(
    ctx: Ctx,
    caller: MemoryCaller,
    q: Annotated[Line, Query(description="Words; the nearest in meaning come first.")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PASSAGES)] = 50,
    before: Annotated[RowId | None, Query(description="`next_before` of the last page.")] = None,
) -> PassagesView:
    """The archive, newest first. A search asks the embedding model, and is charged."""
    page = await memory.list_passages(
        ctx, caller.account, query=q.strip(), limit=limit, before=before
    )
    return PassagesView(
        passages=[_passage(p) for p in page.passages],
        has_more=page.has_more,
        next_before=page.next_before,
    )


@router.post("/passages", status_code=201, responses=problems(402, 409, 429, 502))
async def add_passage(body: NewPassage, ctx: Ctx, caller: MemoryCaller) -> PassageView:
    """Store a text in the archive. It is embedded, and charged."""
    return _passage(await memory.add_passage(ctx, caller.account, body.text))


@router.delete("/passages/{passage_id}", status_code=204, responses=problems(409))
async def delete_passage(passage_id: RowId, ctx: Ctx, caller: MemoryCaller) -> None:
    await memory.delete_passage(ctx, caller.account, passage_id)


def _revision(if_match: str | None) -> str:
    if not if_match:
        raise Invalid(
            'Send the revision that you edited as `If-Match: "<revision>"`.',
            code="if_match_required",
        )
    return if_match.strip().removeprefix("W/").strip('"')


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
