"""Checks the pinned versions against known advisories: `python -m tests.advisories`.

pip-audit needs a service that not every machine can reach; this reads `docs/advisories.md`.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LIST = ROOT / "docs" / "advisories.md"
NPM = "npm:"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", re.MULTILINE)


@dataclass(frozen=True)
class Advisory:
    package: str
    affected: SpecifierSet
    ids: str
    accepted: str
    """Whose pin is accepted and why: `letta: ...`; empty when none is."""

    def accepts(self, pin: "Pin") -> bool:
        return self.accepted.startswith(f"{pin.owner}: ")


@dataclass(frozen=True)
class Pin:
    """`owner` is whose environment it is: platform, or the folder of a peer's lock file."""

    owner: str
    package: str
    version: str


def known_advisories(text: str) -> list[Advisory]:
    """Read the table. Raises ValueError for an invalid line."""
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return [_advisory(row) for row in rows]


def every_pin(root: Path = ROOT) -> list[Pin]:
    """Return what every lock file in the tree pins; a new peer's is included automatically."""
    places = ("", "chat_platform/**/", "deploy/**/", "reflex.lock/")
    python = [lock for place in places for lock in root.glob(f"{place}requirements*.txt")]
    npm = [lock for place in places for lock in root.glob(f"{place}package-lock.json")]
    return [
        *(pin for lock in python for pin in _python_pins(lock)),
        *(pin for lock in npm for pin in _npm_pins(lock)),
    ]


def complaints(advisories: Iterable[Advisory], pins: Iterable[Pin]) -> Iterator[str]:
    """Yield a line for each affected pin that is not accepted, and each unneeded acceptance."""
    pins = list(pins)
    for advisory in advisories:
        hit = [pin for pin in pins if _affects(advisory, pin)]
        for pin in hit:
            if not advisory.accepts(pin):
                yield f"{pin.owner}: {pin.package} {pin.version} is affected by {advisory.ids}"
        if advisory.accepted and not any(advisory.accepts(pin) for pin in hit):
            yield f"{advisory.package}: no pin needs {advisory.ids} accepted any more"


def _advisory(row: str) -> Advisory:
    package, affected, ids, _what, accepted = (cell.strip() for cell in row.split("|")[1:-1])
    return Advisory(package, SpecifierSet(affected), ids, accepted)


def _affects(advisory: Advisory, pin: Pin) -> bool:
    return advisory.package == pin.package and advisory.affected.contains(
        pin.version, prereleases=True
    )


def _python_pins(lock: Path) -> Iterator[Pin]:
    for name, version in _PIN.findall(lock.read_text()):
        yield Pin(_owner(lock), canonicalize_name(name), version)


def _npm_pins(lock: Path) -> Iterator[Pin]:
    for place, entry in json.loads(lock.read_text())["packages"].items():
        if place:
            name = place.rpartition("node_modules/")[2]
            yield Pin(_owner(lock), f"{NPM}{name}", entry["version"])


def _owner(lock: Path) -> str:
    is_ours = (lock.parent / "pyproject.toml").exists()
    return "platform" if is_ours else lock.parent.name


if __name__ == "__main__":
    found = list(complaints(known_advisories(LIST.read_text()), every_pin()))
    print("\n".join(found) or "No pinned version has a known advisory that is not accepted.")
    sys.exit(bool(found))
