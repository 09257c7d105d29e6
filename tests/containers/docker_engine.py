"""A real Docker engine from the rig next to the project."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Resolved: the engine's own root cannot follow links out of it.
RIG = (ROOT.parent / "shared" / "rigs" / "docker" / "engine.sh").resolve()
IN_ENGINE = Path("/host")
"""Where the engine and its command line see this machine's files."""


@dataclass(frozen=True)
class Docker:
    """The engine's command line, run in the project's folder."""

    def __call__(self, *arguments: str, seconds: float = 300) -> str:
        """Run `docker` to its end; return what it prints."""
        return run_rig("docker", *arguments, seconds=seconds)

    def build(self, tag: str, dockerfile: str, folder: str = ".", **arguments: str) -> None:
        """Build an image as `docker compose build` would. Without firewall rules only the host's
        network leads out.
        """
        given = [word for pair in arguments.items() for word in ("--build-arg", "=".join(pair))]
        where = ("--network", "host", "-t", tag, "-f", dockerfile)
        self("build", "--progress", "plain", *where, *given, folder, seconds=1500)


def start() -> Docker:
    """Start the engine, with stand-ins for the public images that ours begin with."""
    run_rig("engine_start")
    run_rig("bases", seconds=600)
    return Docker()


def stop() -> None:
    run_rig("engine_stop")


def run_rig(*command: str, seconds: float = 300) -> str:
    done = subprocess.run(
        ["bash", "-c", 'source "$0"; "$@"', str(RIG), *command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        umask=0o022,
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-3000:]}"
    return done.stdout
