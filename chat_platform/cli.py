"""The `chat-platform` command."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from chat_platform.database import engine
from chat_platform.launcher import backup as backups
from chat_platform.launcher import frontend, people, server
from chat_platform.launcher import up as launcher
from chat_platform.launcher.doctor import examine
from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.places import places_of
from chat_platform.launcher.stack_secrets import env_lines
from chat_platform.launcher.status import read_status, status_lines
from chat_platform.settings import SettingsError, load_settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command("make-admin")(people.make_admin)
app.command("reset-code")(people.reset_code)
app.command("invite")(people.invite)
app.command("setup-code")(people.setup_code)


@app.callback()
def main() -> None:
    """Run and maintain an AI Chat Platform."""


@app.command()
def up(
    peers_only: Annotated[
        bool, typer.Option(help="Start Letta, LiteLLM and the demo model, but not the server.")
    ] = False,
) -> None:
    """Start the platform, with every service that the settings do not point elsewhere."""
    with _failures_in_words():
        launcher.run_platform(load_settings(), peers_only=peers_only)


@app.command()
def serve() -> None:
    """Start only the server: the pages are built, and every service runs elsewhere."""
    with _failures_in_words():
        server.serve(load_settings())


@app.command("make-env")
def make_env() -> None:
    """Print new secrets for docker-compose.yml: `chat-platform make-env > .env`."""
    print("\n".join(env_lines()))


@app.command()
def install() -> None:
    """Install the embedded services in advance of the first start."""
    with _failures_in_words():
        launcher.install(load_settings())


@app.command()
def build() -> None:
    """Build the pages if they are missing or out of date (`up` does this itself)."""
    with _failures_in_words():
        frontend.build()


@app.command()
def migrate() -> None:
    """Migrate the database (`up` does this itself for the embedded one)."""
    with _failures_in_words():
        asyncio.run(engine.migrate(load_settings().database))


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="The file to write, .tar.gz.")]) -> None:
    """Save the embedded databases and secrets in one file, also while the platform runs."""
    with _failures_in_words():
        lacks = backups.back_up(load_settings(), file)
    print("\n".join([f"Saved in {file}. It contains all secrets: keep it private.", *lacks]))


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file of `chat-platform backup`.")],
) -> None:
    """Make a platform of a backup, in an empty DATA_DIR."""
    with _failures_in_words():
        backups.restore(load_settings(), file)
    print("Restored. Start it with `chat-platform up` or `make run`.")


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Show what is running; the exit code is 0 when everything is ready."""
    with _failures_in_words():
        found = read_status(places_of(load_settings()))
    print(json.dumps(found, indent=2) if as_json else "\n".join(status_lines(found)))
    raise typer.Exit(0 if found["state"] == "ready" else 1)


@app.command()
def doctor() -> None:
    """Check the installation and suggest fixes; the exit code is 1 if something is wrong."""
    with _failures_in_words():
        findings = asyncio.run(examine(load_settings()))
    print("\n".join(finding.line() for finding in findings))
    raise typer.Exit(1 if any(finding.verdict == "wrong" for finding in findings) else 0)


@contextmanager
def _failures_in_words() -> Iterator[None]:
    """Tell what went wrong and the way out, without a traceback, and exit with 1."""
    try:
        yield
    except SettingsError as exc:
        _fail(*exc.problems)
    except LaunchFailed as exc:
        _fail(exc.message, exc.way_out)
    except frontend.BuildFailed as exc:
        _fail(str(exc), "Check the network and the disk, then try again.")
    except engine.UnfitDatabase as exc:
        _fail(str(exc), exc.way_out)
    except OSError as exc:
        _fail(f"{exc.strerror}: {exc.filename}", "Check the disk, and that you own DATA_DIR.")


def _fail(*lines: str) -> None:
    for line in filter(None, lines):
        print(line, file=sys.stderr)
    raise typer.Exit(1)
