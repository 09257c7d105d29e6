"""The documentation names only files, make targets and code that exist; its links work."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "chat_platform"
DOCS = sorted(
    str(doc.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "docs/adr/*.md")
    for doc in ROOT.glob(pattern)
    # A changelog describes what was true at the time.
    if doc.name != "CHANGELOG.md"
)
# These also quote names from other programs' code.
OF_OTHER_PROGRAMS = {f"docs/{name}.md" for name in ("advisories", "asvs", "letta", "litellm")}
SOURCES = ("chat_platform", "tests", "benchmarks", "alembic", "assets", "deploy")
SINGLE_FILES = (
    *("Makefile", "pyproject.toml", "rxconfig.py", ".env.example", ".importlinter"),
    *("docker-compose.yml", "deploy/litellm/Dockerfile"),
)

QUOTED = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]+)?\)")
FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
PATH = re.compile(r"[\w.*-]*(?:/[\w.*-]+)*/?")
ENDINGS = {".py", ".md", ".js", ".css", ".po", ".txt", ".toml", ".yaml", ".example"}


def _text(doc: str) -> str:
    return (ROOT / doc).read_text()


def _quoted(doc: str) -> set[str]:
    return set(QUOTED.findall(FENCE.sub("", _text(doc))))


def _is_path(word: str) -> bool:
    if not PATH.fullmatch(word) or word.startswith(("/", ".web", ".data")):
        return False
    top = word.partition("/")[0]
    is_ours = "/" in word and any((base / top).is_dir() for base in (ROOT, PACKAGE))
    return is_ours or Path(word).suffix in ENDINGS


def _exists(path: str, doc: str) -> bool:
    """Look in the root, in the package and beside the document; for a bare name, anywhere."""
    places = [(ROOT, path), (PACKAGE, path), ((ROOT / doc).parent, path)]
    if "/" not in path:
        places += [(ROOT / source, f"**/{path}") for source in SOURCES]
    return any(next(place.glob(pattern.rstrip("/")), None) for place, pattern in places)


@pytest.fixture(scope="module")
def words() -> set[str]:
    """Every word of the source, file names included."""
    files = [ROOT / name for name in SINGLE_FILES]
    for source in SOURCES:
        files += [file for file in (ROOT / source).rglob("*.*") if file.suffix in (".py", ".js")]
    found = {file.stem for file in files}
    for file in files:
        found.update(re.findall(r"\w+", file.read_text()))
    return found


@pytest.mark.parametrize("doc", DOCS)
def test_every_named_file_exists(doc: str):
    paths = filter(_is_path, sorted(_quoted(doc)))

    assert [path for path in paths if not _exists(path, doc)] == []


@pytest.mark.parametrize("doc", [doc for doc in DOCS if doc not in OF_OTHER_PROGRAMS])
def test_every_named_thing_exists(doc: str, words: set[str]):
    named = {word for word in _quoted(doc) if NAME.fullmatch(word) and not _is_path(word)}

    assert [name for name in sorted(named) if not set(name.split(".")) <= words] == []


@pytest.mark.parametrize("doc", DOCS)
def test_every_link_leads_to_a_file(doc: str):
    targets = sorted({target for target in LINK.findall(_text(doc)) if ":" not in target})

    assert [target for target in targets if not (ROOT / doc).parent.joinpath(target).exists()] == []


def test_every_named_make_target_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {
        (doc, name)
        for doc in DOCS
        for name in re.findall(r"(?:`|^)make ([a-z-]+)", _text(doc), re.M)
    }

    assert {(doc, name) for doc, name in named if name not in targets} == set()


def test_the_glossary_defines_each_word_once():
    defined = re.findall(r"^\| \*\*([^*]+)\*\* \|", _text("CONTEXT.md"), re.M)

    assert len(defined) > 30
    assert len(defined) == len(set(defined))
