"""Where the launcher keeps things in DATA_DIR."""

from dataclasses import dataclass
from pathlib import Path

from chat_platform.settings import Settings


@dataclass(frozen=True)
class Places:
    """Absolute paths, all of them below DATA_DIR unless the settings move the environments."""

    data_dir: Path
    environments: Path

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def run(self) -> Path:
        """What is true only while a launcher runs: its lock, its status."""
        return self.data_dir / "run"

    @property
    def records(self) -> Path:
        """One file for each process that was started and not yet stopped."""
        return self.run / "processes"

    @property
    def status(self) -> Path:
        return self.run / "status.json"

    @property
    def lock(self) -> Path:
        return self.run / "launcher.lock"


def places_of(settings: Settings) -> Places:
    data_dir = settings.data_dir.absolute()
    environments = settings.chat_platform_env_dir or data_dir / "env"
    return Places(data_dir, environments.absolute())
