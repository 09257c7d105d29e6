"""The built pages in memory: files by language and path, with their policies. Knows no request."""

import base64
import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from chat_platform.values.languages import LANGUAGES

SITE = Path(".web") / "site"
"""Where the build puts one folder per language, relative to the project's root."""

ROOT_PATH_NOTE = "root_path"
"""The file beside those folders with the ROOT_PATH they were built for."""

_PACKED = {".br": "br", ".gz": "gzip"}
_SCRIPTS = re.compile(rb"<script\b.*?</script>|<link[^>]*modulepreload[^>]*>", re.DOTALL)
_INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)


@dataclass(frozen=True)
class BuiltFile:
    """One built file, and its compressed forms by content encoding."""

    media_type: str
    body: bytes
    packed: dict[str, bytes]

    @cached_property
    def etag(self) -> str:
        """The same for every compressed form, and therefore weak."""
        return f'W/"{hashlib.sha256(self.body).hexdigest()[:24]}"'

    @cached_property
    def for_demo(self) -> "BuiltFile":
        """The same page, marked so that the demo model's banner shows from the first paint."""
        body = self.body.replace(b"<html ", b"<html data-demo ", 1)
        return BuiltFile(self.media_type, body, {"gzip": gzip.compress(body)})

    @cached_property
    def inert(self) -> "BuiltFile":
        """The same page without scripts, for addresses it was not built for."""
        body = _SCRIPTS.sub(b"", self.body)
        return BuiltFile(self.media_type, body, {"gzip": gzip.compress(body)})

    @cached_property
    def content_policy(self) -> str:
        """The page's Content-Security-Policy: its own inline scripts by hash, and no eval."""
        hashes = " ".join(_hash(text) for text in _INLINE_SCRIPT.findall(self.body.decode()))
        return (
            f"default-src 'self'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; "
            "img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
            "form-action 'self'; frame-ancestors 'none'"
        )


class BuiltPages:
    """All files of the build: `/chat` is `chat.html`, others are requested by their path."""

    def __init__(self, site: Path = SITE, *, root_path: str = "") -> None:
        # Pages built for another path would load nothing.
        is_ours = _built_for(site) == root_path
        self._files = {lang: _read(site / lang) if is_ours else {} for lang in LANGUAGES}

    def page(self, path: str, language: str) -> BuiltFile | None:
        return self._files[language].get(f"{path.rstrip('/')}.html")

    def missing_page(self, language: str) -> BuiltFile | None:
        return self._files[language].get("/404.html")

    def error_page(self, language: str) -> BuiltFile | None:
        page = self._files[language].get("/error.html")
        return page.inert if page else None

    def asset(self, path: str) -> BuiltFile | None:
        """Find a file that is not a page; its hashed name differs if languages differ."""
        if path.endswith(".html"):
            return None
        return next((f[path] for f in self._files.values() if path in f), None)


def _built_for(site: Path) -> str:
    """Return the ROOT_PATH of the build."""
    note = site / ROOT_PATH_NOTE
    return note.read_text() if note.exists() else ""


def _read(folder: Path) -> dict[str, BuiltFile]:
    files = (f for f in folder.rglob("*") if f.is_file() and f.suffix not in _PACKED)
    return {f"/{file.relative_to(folder).as_posix()}": _built_file(file) for file in files}


def _built_file(file: Path) -> BuiltFile:
    packed = {code: Path(f"{file}{suffix}") for suffix, code in _PACKED.items()}
    media_type = "text/javascript" if file.suffix == ".js" else mimetypes.guess_type(file.name)[0]
    return BuiltFile(
        media_type=media_type or "application/octet-stream",
        body=file.read_bytes(),
        packed={code: path.read_bytes() for code, path in packed.items() if path.exists()},
    )


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
