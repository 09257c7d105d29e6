"""Closes our tables to the public API of Supabase's Postgres (PostgREST).

There every table in `public` can be read with the browsers' key unless row level security is on.
It does not affect us, since we own the tables.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, inspect, text

PUBLIC_ROLES = ("anon", "authenticated")
"""Supabase's roles for its public API; other Postgres servers have none of them."""


def close_tables(connection: Connection, tables: Iterable[str]) -> None:
    """Enable row level security without policies, and revoke the public roles' grants.

    Runs after every migration, so that no new table is forgotten; missing tables are skipped. Does
    nothing on SQLite.
    """
    if connection.dialect.name != "postgresql":
        return
    present = set(inspect(connection).get_table_names())
    tables = [table for table in tables if table in present]
    roles = [role for role in PUBLIC_ROLES if _exists(connection, role)]
    for table in tables:
        name = connection.dialect.identifier_preparer.quote(table)
        connection.execute(text(f"alter table {name} enable row level security"))
        for role in roles:
            connection.execute(text(f"revoke all on table {name} from {role}"))
    for sequence in _sequences(connection, tables):
        for role in roles:
            connection.execute(text(f"revoke all on sequence {sequence} from {role}"))


def _sequences(connection: Connection, tables: Iterable[str]) -> list[str]:
    """Return the sequences of these tables, quoted."""
    query = text(
        "select s.oid::regclass::text from pg_class s"
        " join pg_depend d on d.objid = s.oid and d.deptype in ('a', 'i')"
        " join pg_class t on t.oid = d.refobjid"
        " where s.relkind = 'S' and t.relname = any(:tables)"
        " and t.relnamespace = current_schema()::regnamespace"
    )
    return list(connection.execute(query, {"tables": list(tables)}).scalars())


def _exists(connection: Connection, role: str) -> bool:
    query = text("select 1 from pg_roles where rolname = :role")
    return connection.execute(query, {"role": role}).first() is not None
