"""Where the launcher keeps its files in DATA_DIR."""

import sys
from dataclasses import dataclass
from pathlib import Path

from chat_platform.launcher.processes import OsUser
from chat_platform.settings import Settings

_VERSION = sys.version_info
_BASE_PYTHON = Path(sys.base_prefix) / "bin" / f"python{_VERSION.major}.{_VERSION.minor}"


@dataclass(frozen=True)
class Places:
    """Absolute paths, all below DATA_DIR unless the settings move the environments."""

    data_dir: Path
    environments: Path
    python: Path = _BASE_PYTHON
    """The Python with which the peers' environments are built."""
    peer_user: OsUser | None = None
    """The user who runs the peers, if not ourselves."""

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def run(self) -> Path:
        """Files for a running launcher only: its lock, its status."""
        return self.data_dir / "run"

    @property
    def records(self) -> Path:
        """One file for each process that was started and not yet stopped."""
        return self.run / "processes"

    @property
    def status(self) -> Path:
        return self.run / "status.json"

    @property
    def proxy_port(self) -> Path:
        """The port where the embedded agent server reaches the proxy, the same at each start."""
        return self.run / "proxy-port"

    @property
    def restoring(self) -> Path:
        """A folder that is there while a backup is restored, or after that has failed."""
        return self.data_dir / "restoring"

    @property
    def lock(self) -> Path:
        return self.run / "launcher.lock"


def places_of(settings: Settings) -> Places:
    data_dir = settings.data_dir.absolute()
    environments = settings.chat_platform_env_dir or data_dir / "env"
    return Places(data_dir, environments.absolute())
