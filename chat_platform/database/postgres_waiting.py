"""How long to wait for Postgres: one that is stopped or silently cut off counts as down."""

from typing import Any

import psycopg
from psycopg import pq
from psycopg.abc import RV, PQGen

CONNECT_SECONDS = 5
ANSWER_SECONDS = 15.0
"""For one statement's result: less than a turn's lease. Migrations may take longer."""

LOCK_SECONDS = 5
"""For a row that another transaction has locked: less than for an answer, so that it is Postgres
that gives up, says why, and keeps the connection."""
BOUND_LOCKS = f"set local lock_timeout = '{LOCK_SECONDS}s'"
"""For one transaction: a pooler gives the next one another connection."""

CONNECTING: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    # A host that vanished sends nothing either; these detect it while the connection is idle.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


class Silent(psycopg.OperationalError):
    """Postgres took too long to respond. Whether it executed the statement is unknown."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection whose statements fail when their result takes too long."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return super().wait(gen, interval, timeout or ANSWER_SECONDS)
        except psycopg.OperationalError:
            _close_if_unanswered(self.pgconn)
            raise


class BoundedAsyncConnection(psycopg.AsyncConnection[Any]):
    """The same for an event loop."""

    async def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return await super().wait(gen, interval, timeout or ANSWER_SECONDS)
        except psycopg.OperationalError:
            _close_if_unanswered(self.pgconn)
            raise


def _close_if_unanswered(connection: pq.abc.PGconn) -> None:
    if connection.transaction_status == pq.TransactionStatus.ACTIVE:
        # A late result would be taken for the next statement's.
        connection.finish()
