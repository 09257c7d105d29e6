"""A file of secrets, one `NAME=value` a line, which only its owner can read."""

from pathlib import Path


def read_secrets(file: Path) -> dict[str, str]:
    """Return the values by name; none if there is no such file."""
    if not file.exists():
        return {}
    pairs = (line.partition("=") for line in file.read_text().splitlines() if "=" in line)
    return {name: value for name, _, value in pairs}


def write_secrets(file: Path, known: dict[str, str]) -> None:
    """Replace the file at once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text("".join(f"{name}={value}\n" for name, value in known.items()))
    part.replace(file)
