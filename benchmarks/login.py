"""Compares logins with a wrong password for known and for unknown addresses.

Prints both distributions and the ratio of their medians: near 1.00, the time does not reveal
whether an address has an account. Uses the real argon2id parameters and its own database.
"""

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from chat_platform.adapters.identity.local import LocalIdentity
from chat_platform.database.engine import migrate, open_engine, transaction
from chat_platform.errors import NotSignedIn
from chat_platform.models import Account
from chat_platform.settings import Settings

ROUNDS = 150
KNOWN = 20
WARM_UP = 5


async def measure() -> dict[str, list[float]]:
    """Return milliseconds by kind of address, measured in random order."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), secret_key=SecretStr("s" * 40))
        await migrate(settings.database)
        engine = open_engine(settings.database)
        identity = LocalIdentity(engine)
        for number in range(KNOWN):
            await _register(identity, engine, f"known{number}@example.com")
        asked = [kind for kind in ("known", "unknown") for _ in range(ROUNDS)]
        random.shuffle(asked)
        times: dict[str, list[float]] = {"known": [], "unknown": []}
        for kind in ["known"] * WARM_UP + ["unknown"] * WARM_UP:
            await _wrong_login(identity, kind)
        for kind in asked:
            times[kind].append(await _wrong_login(identity, kind))
        await engine.dispose()
    return times


async def _register(identity: LocalIdentity, engine: AsyncEngine, email: str) -> None:
    registered = await identity.register(email, "password123", name="")
    assert registered
    async with transaction(engine) as session:
        session.add(
            Account(
                email=email,
                auth_provider=identity.name,
                auth_subject=registered.subject,
                password_hash=registered.password_hash,
            )
        )


async def _wrong_login(identity: LocalIdentity, kind: str) -> float:
    email = f"{kind}{random.randrange(KNOWN)}@example.com"
    start = time.perf_counter()
    try:
        await identity.check_password(email, "not this one")
    except NotSignedIn:
        return (time.perf_counter() - start) * 1000
    raise AssertionError("a wrong password was taken")


def main() -> None:
    times = asyncio.run(measure())
    print(f"{'address':10}{'p5':>8}{'p50':>8}{'p95':>8}{'mean':>8}  ms over {ROUNDS} wrong logins")
    for kind, values in times.items():
        cuts = statistics.quantiles(values, n=20)
        row = (cuts[0], cuts[9], cuts[18], statistics.fmean(values))
        print(f"{kind:10}" + "".join(f"{value:8.1f}" for value in row))
    ratio = statistics.median(times["known"]) / statistics.median(times["unknown"])
    print(f"median known / median unknown: {ratio:.2f}")


if __name__ == "__main__":
    main()
