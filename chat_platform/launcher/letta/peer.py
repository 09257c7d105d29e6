"""Defines how to start Letta 0.16.8 such that it can reach a model only through us."""

import asyncio
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from chat_platform.launcher.environments import (
    Environment,
    installing,
    make_environment,
    run_to_end,
    run_uv,
    share,
)
from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.ground import home_of, programs_folder
from chat_platform.launcher.peers import Peer, answers, bare_environment
from chat_platform.launcher.places import Places
from chat_platform.launcher.postgres import Postgres, ensure_database
from chat_platform.launcher.processes import Program
from chat_platform.settings import Settings

VERSION = "0.16.8"
DATABASE = "letta"

_HERE = Path(__file__).parent
ENVIRONMENT = Environment("letta", _HERE / "requirements.txt")
_LATEST_MIGRATION = "1c28e167b74f"
# The port of the old discard service: privileged, and closed on modern machines.
_NOWHERE = "http://127.0.0.1:9/v1"


async def install(places: Places) -> None:
    """Create the environment, and fetch the migrations, which only the source archive contains."""
    async with asyncio.TaskGroup() as group:
        group.create_task(make_environment(ENVIRONMENT, places))
        group.create_task(_fetch_migrations(places))


def is_installed(places: Places) -> bool:
    return ENVIRONMENT.is_made(places) and (_migrations(places) / "complete").exists()


async def migrate(settings: Settings, places: Places, database: Postgres) -> None:
    """Migrate Letta's database. Raises LaunchFailed."""
    await asyncio.to_thread(ensure_database, database, DATABASE, extension="vector")
    if await asyncio.to_thread(_migration_of, database) == _LATEST_MIGRATION:
        return
    program = Program(
        name="letta-migrations",
        argv=(str(ENVIRONMENT.python(places)), str(_programs(places) / "run.py"), "migrate"),
        cwd=_migrations(places),
        log=places.logs / "letta-migrations.log",
        # Alembic's driver does not know `ssl=disable`.
        environment=_environment(settings, places, database.url(DATABASE)),
        user=places.peer_user,
    )
    await run_to_end(program, places)


def peer(settings: Settings, places: Places, database: Postgres, port: int) -> Peer:
    url = f"http://127.0.0.1:{port}"
    environment = _environment(settings, places, f"{database.url(DATABASE)}?ssl=disable")
    return Peer(
        title="Letta",
        url=url,
        is_ready=answers(f"{url}/v1/health/"),
        program=Program(
            name="letta",
            argv=(str(ENVIRONMENT.python(places)), str(_programs(places) / "run.py"), "serve"),
            cwd=home_of(_programs(places)),
            log=places.logs / "letta.log",
            environment={**environment, "LETTA_HOST": "127.0.0.1", "LETTA_PORT": str(port)},
            user=places.peer_user,
        ),
    )


def _environment(settings: Settings, places: Places, database_url: str) -> dict[str, str]:
    home = home_of(_programs(places))
    return {
        **bare_environment(home=home),
        "TZ": "UTC",
        "PYTHONWARNINGS": "ignore",
        "LETTA_DIR": str(home),
        "LETTA_PG_URI": database_url,
        # Halves the time per message.
        "LETTA_DISABLE_SQLALCHEMY_POOLING": "false",
        "LETTA_PG_POOL_SIZE": "10",
        "LETTA_PG_MAX_OVERFLOW": "20",
        "LETTA_SERVER_SECURE": "true",
        "LETTA_SERVER_PASSWORD": settings.letta_api_token.get_secret_value(),
        "LETTA_ENCRYPTION_KEY": settings.letta_encryption_key.get_secret_value(),
        # Letta sends this key to every agent's endpoint, which is our proxy.
        "OPENAI_API_KEY": settings.letta_global_api_key.get_secret_value(),
        # Whatever tries to bypass the proxy fails.
        "OPENAI_BASE_URL": _NOWHERE,
        "LETTA_DISABLE_TRACING": "true",
        "LETTA_LOGGING_LOG_LEVEL": "ERROR",
        # No traces of model calls in Letta: they would outlive deleted agents.
        "LETTA_TELEMETRY_PROVIDER_TRACE_BACKEND": "",
        **_redis(settings.redis_url.get_secret_value()),
    }


def _redis(url: str) -> dict[str, str]:
    """Return where Letta keeps runs for other processes; it knows Redis without a password only."""
    address = urlsplit(url)
    if not address.hostname or address.password:
        return {}
    return {"LETTA_REDIS_HOST": address.hostname, "LETTA_REDIS_PORT": str(address.port or 6379)}


def _programs(places: Places) -> Path:
    return programs_folder(places, "letta", _HERE / "run.py", _HERE / "door.py")


def _migrations(places: Places) -> Path:
    return places.environments / f"letta-{VERSION}-alembic"


async def _fetch_migrations(places: Places) -> None:
    target = _migrations(places)
    async with installing("letta-migrations", places):
        if (target / "complete").exists():
            return
        target.mkdir(parents=True, exist_ok=True)
        await run_uv(
            "letta-source",
            places,
            *("tool", "run", "-q", "pip", "download", "-q", "--no-deps", "--no-binary", "letta"),
            *("--require-hashes", "-r", _HERE / "source.txt", "-d", target),
        )
        await asyncio.to_thread(_unpack, target / f"letta-{VERSION}.tar.gz", target)
        share(target, places)
        (target / "complete").touch()


def _unpack(archive: Path, target: Path) -> None:
    """Extract only the migrations; the archive's hash has been checked."""
    root = f"letta-{VERSION}/"
    with tarfile.open(archive) as source:
        # One by one: `extract(filter=)` is newer than the Python 3.11 of Debian 12.
        for member in source.getmembers():
            name = member.name.removeprefix(root)
            content = source.extractfile(member) if name.startswith("alembic") else None
            if content:
                file = target / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content.read())
    archive.unlink()


def _migration_of(database: Postgres) -> str | None:
    try:
        with psycopg.connect(database.url(DATABASE)) as connection:
            row = connection.execute("select version_num from alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    except psycopg.OperationalError as exc:
        raise LaunchFailed(f"Letta's database does not answer: {exc}") from exc
    return row[0] if row else None
