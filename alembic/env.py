"""Runs the migrations on the database that the caller names, or that the settings name."""

from sqlmodel import SQLModel

import chat_platform.models  # noqa: F401  (fills SQLModel.metadata)
from alembic import context
from chat_platform.database.engine import open_sync_engine, sync_url
from chat_platform.database.row_security import close_tables
from chat_platform.settings import load_settings


def include_name(name, type_, _parents):
    """Consider only our own tables: a shared database contains others too.

    The search index is written by hand: each dialect has its own kind.
    """
    if type_ == "index":
        return name != "message_search"
    return type_ != "table" or name in SQLModel.metadata.tables


_MIGRATING = 0x63686174
"""The number of the lock that a migrating process holds."""

url = context.config.get_main_option("sqlalchemy.url") or sync_url(load_settings().database)
engine = open_sync_engine(url)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        include_name=include_name,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # One process at a time: later ones find nothing left to do.
            connection.exec_driver_sql(f"select pg_advisory_xact_lock({_MIGRATING})")
        context.run_migrations()
        close_tables(connection, [*SQLModel.metadata.tables, "alembic_version"])
engine.dispose()
