"""Database URLs as SQLAlchemy and our driver take them."""

import re

# Consoles add these for Prisma and others; libpq refuses unknown parameters.
_FOR_OTHER_DRIVERS = ("pgbouncer", "connection_limit", "pool_timeout", "supa")


def with_our_driver(url: str) -> str:
    """Return the URL of a Postgres for psycopg, whatever driver or console it was written for."""
    for name in _FOR_OTHER_DRIVERS:
        url = re.sub(rf"(?<=[?&]){name}=[^&]*&?", "", url)
    return re.sub(r"^(postgres|postgresql)(\+\w+)?://", "postgresql+psycopg://", url.rstrip("?&"))
