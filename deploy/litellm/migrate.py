"""Brings LiteLLM's database up to date with its own migrations, as `prisma migrate deploy` would.

Prisma's command line would need Node and another engine in the image. The table in which it notes
what it has applied is filled the same way, so it can take over. Environment: DATABASE_URL.
"""

import hashlib
import os
import uuid
from pathlib import Path

import litellm_proxy_extras
import psycopg
from litellm_proxy_extras.request_log_indexes import ensure_request_log_indexes

_TABLE = """
create table if not exists _prisma_migrations (
    id varchar(36) primary key not null,
    checksum varchar(64) not null,
    finished_at timestamptz,
    migration_name varchar(255) not null,
    logs text,
    rolled_back_at timestamptz,
    started_at timestamptz not null default now(),
    applied_steps_count integer not null default 0
)
"""
# Two containers may start at once.
_LOCK = "select pg_advisory_lock(hashtext('litellm migrations'))"
_NOTE = """
insert into _prisma_migrations (id, checksum, finished_at, migration_name, applied_steps_count)
values (%s, %s, now(), %s, 1)
"""


def main() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(_LOCK)
        connection.execute(_TABLE)
        rows = connection.execute("select migration_name from _prisma_migrations").fetchall()
        applied = {name for (name,) in rows}
        for folder in _migrations():
            if folder.name not in applied:
                _apply(connection, folder)
    # No migration builds these: where there are many calls already, they take long. A failure is
    # logged, and leaves them to the next start.
    ensure_request_log_indexes(os.environ["DATABASE_URL"], "public")


def _migrations() -> list[Path]:
    files = Path(litellm_proxy_extras.__path__[0], "migrations").glob("*/migration.sql")
    return sorted(file.parent for file in files)


def _apply(connection: psycopg.Connection, folder: Path) -> None:
    script = (folder / "migration.sql").read_bytes()
    note = (str(uuid.uuid4()), hashlib.sha256(script).hexdigest(), folder.name)
    try:
        with connection.transaction():
            connection.execute(script)
            connection.execute(_NOTE, note)
    except psycopg.errors.ActiveSqlTransaction:
        # An index that is built while others write: a single statement that can be repeated.
        connection.execute(script)
        connection.execute(_NOTE, note)
    print(f"applied {folder.name}", flush=True)


if __name__ == "__main__":
    main()
