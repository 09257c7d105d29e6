"""What an operator watches, for administrators; for everyone else it does not exist (404)."""

from fastapi import APIRouter
from pydantic import BaseModel

from chat_platform.accounts.limits import counts_as
from chat_platform.api.admin import PlatformBudget, platform_budget_view
from chat_platform.api.deps import AdminCaller, Ctx, only_for_its_body
from chat_platform.billing.usage import UsageLine
from chat_platform.operations import failures, people
from chat_platform.operations.background import Background
from chat_platform.operations.overview import Overview, overview
from chat_platform.operations.peers import Peer
from chat_platform.process.rate_limits import SEARCHES_OF_ACCOUNT
from chat_platform.values.clock import to_rfc3339
from chat_platform.values.money import to_usd_text

router = APIRouter(prefix="/admin", tags=["administrators"])


class Newcomer(BaseModel):
    email: str
    created_at: str


class People(BaseModel):
    total: int
    disabled: int
    active_today: int
    """Since 00:00 UTC."""
    active_week: int
    """In the last seven days."""
    newest: list[Newcomer]


class Spent(BaseModel):
    cost_usd: str
    model_calls: int
    prompt_tokens: int
    completion_tokens: int


class SpentOnModel(Spent):
    model: str


class Spending(BaseModel):
    today: Spent
    """Since 00:00 UTC."""
    month: Spent
    """Since the first of the month, 00:00 UTC."""
    by_model: list[SpentOnModel]
    """This month's; they add up to it exactly."""


class Failure(BaseModel):
    code: str
    number: int
    last_at: str


class Failures(BaseModel):
    """How turns ended in the last seven days."""

    finished: int
    failed: int
    cancelled: int
    turns: list[Failure]
    """Why turns failed, the most frequent first."""
    model_calls: list[Failure]
    """Why model calls failed; most are repeated and then succeed."""


class PeerView(BaseModel):
    name: str
    """`database`, `agent_server` or `billing_gateway`."""
    status: str
    """`ok`, or what is wrong with it."""
    latency_ms: int
    version: str | None


class Versions(BaseModel):
    platform: str
    database_schema: str


class BackgroundView(BaseModel):
    running_turns: int
    open_calls: int
    overdue: int
    """Turns and calls of a process that has stopped: others will end them."""
    pending_prices: int
    """Ended calls whose price the billing gateway has not reported yet."""
    oldest_pending_at: str | None
    deletions: int
    unsettled_calls: int
    """Ended calls that could not be stored yet, in the process that answers."""
    waiting_writes: int
    """In the same process."""


class OverviewView(BaseModel):
    at: str
    people: People
    spending: Spending
    platform_budget: PlatformBudget
    failures: Failures
    peers: list[PeerView]
    versions: Versions
    background: BackgroundView


@router.get("/overview", dependencies=[only_for_its_body()])
@counts_as(SEARCHES_OF_ACCOUNT)
async def read_overview(ctx: Ctx, caller: AdminCaller) -> OverviewView:
    """People, spending, failures, peers, versions and background work, and never any content."""
    return _view(await overview(ctx))


def _view(read: Overview) -> OverviewView:
    return OverviewView(
        at=to_rfc3339(read.at_ms),
        people=_people(read.people),
        spending=Spending(
            today=_spent(read.spending.day),
            month=_spent(read.spending.month),
            by_model=[
                SpentOnModel(model=line.name, **_spent(line).model_dump())
                for line in read.spending.models
            ],
        ),
        platform_budget=platform_budget_view(read.caps),
        failures=_failures(read.failures),
        peers=[_peer(peer) for peer in read.peers],
        versions=Versions(platform=read.version, database_schema=read.schema),
        background=_background(read.background),
    )


def _people(read: people.People) -> People:
    newest = [
        Newcomer(email=each.email, created_at=to_rfc3339(each.created_at_ms))
        for each in read.newest
    ]
    return People(
        total=read.total,
        disabled=read.disabled,
        active_today=read.active_today,
        active_week=read.active_week,
        newest=newest,
    )


def _spent(line: UsageLine) -> Spent:
    return Spent(
        cost_usd=to_usd_text(line.cost_nano_usd),
        model_calls=line.model_calls,
        prompt_tokens=line.prompt_tokens,
        completion_tokens=line.completion_tokens,
    )


def _failures(read: failures.Failures) -> Failures:
    return Failures(
        finished=read.finished,
        failed=read.failed,
        cancelled=read.cancelled,
        turns=[_failure(each) for each in read.turns],
        model_calls=[_failure(each) for each in read.calls],
    )


def _failure(read: failures.Failure) -> Failure:
    return Failure(code=read.code, number=read.number, last_at=to_rfc3339(read.last_at_ms))


def _peer(peer: Peer) -> PeerView:
    return PeerView(
        name=peer.name, status=peer.word, latency_ms=peer.ms, version=peer.version or None
    )


def _background(read: Background) -> BackgroundView:
    oldest = read.oldest_pending_ms
    return BackgroundView(
        running_turns=read.running_turns,
        open_calls=read.open_calls,
        overdue=read.overdue,
        pending_prices=read.pending_prices,
        oldest_pending_at=None if oldest is None else to_rfc3339(oldest),
        deletions=read.deletions,
        unsettled_calls=read.unsettled_calls,
        waiting_writes=read.waiting_writes,
    )
