"""Checks an installation and suggests a fix for every problem: `chat-platform doctor`."""

import json
import os
import shutil
import stat
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from chat_platform.launcher import frontend, unprivileged
from chat_platform.launcher.findings import Finding
from chat_platform.launcher.free_ports import is_free
from chat_platform.launcher.ground import reachable
from chat_platform.launcher.letta import peer as letta
from chat_platform.launcher.letta_exposure import password_finding, reach_finding
from chat_platform.launcher.litellm import peer as litellm
from chat_platform.launcher.places import Places, places_of
from chat_platform.launcher.status import read_status
from chat_platform.settings import Settings

_NEEDED_GB = 3.0
_TIMEOUT_SECONDS = 5.0


async def examine(settings: Settings) -> list[Finding]:
    """Return the findings of every check, in reading order."""
    places = reachable(places_of(settings))
    findings = [
        _python(),
        _disk(places),
        _secrets(places),
        _unprivileged_user(settings),
        *_peers_user(settings, places),
        _environment("Letta", settings.letta_base_url, letta.is_installed(places)),
        _environment("LiteLLM", settings.litellm_base_url, litellm.ENVIRONMENT.is_made(places)),
        _pages(),
        _models(settings),
        _port(settings, places),
    ]
    for check in _peer_checks(settings, places):
        findings.append(await check())
    return findings


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == (3, 11):
        return Finding("ok", "Python", version)
    return Finding("wrong", "Python", version, "install Python 3.11 and run make clean run")


def _disk(places: Places) -> Finding:
    existing = next(p for p in (places.data_dir, *places.data_dir.parents) if p.exists())
    free = shutil.disk_usage(existing).free / 1e9
    words = f"{free:.1f} GB free at {existing}"
    if free >= _NEEDED_GB:
        return Finding("ok", "Disk", words)
    return Finding("wrong", "Disk", words, f"free some: {_NEEDED_GB:.0f} GB are needed")


def _secrets(places: Places) -> Finding:
    file = places.data_dir / "secrets.env"
    if not file.exists():
        return Finding("note", "Secrets", "not created yet: the first start creates them")
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        words = f"{file} can be read by others (mode {mode:o})"
        return Finding("wrong", "Secrets", words, f"chmod 600 {file}")
    return Finding("ok", "Secrets", f"{file}, mode {mode:o}")


def _unprivileged_user(settings: Settings) -> Finding:
    if settings.letta_base_url or os.geteuid() != 0:
        return Finding("ok", "User", "Postgres runs as this user" if os.geteuid() else "root")
    user = unprivileged.choose_user()
    return Finding("ok", "User", f"root; Postgres runs as {user.name if user else 'root'}")


def _peers_user(settings: Settings, places: Places) -> list[Finding]:
    if os.geteuid() != 0 or (settings.letta_base_url and settings.litellm_base_url):
        return []
    if places.peer_user:
        return [Finding("ok", "Peers", f"run as {places.peer_user.name}")]
    words = "run as root: the user nobody cannot run any Python 3.11 on this machine"
    advice = "install one for all users (apt install python3.11), or start as an ordinary user"
    return [Finding("wrong", "Peers", words, advice)]


def _environment(name: str, configured_url: str, is_installed: bool) -> Finding:
    if configured_url:
        return Finding("ok", name, f"configured: {configured_url}")
    if is_installed:
        return Finding("ok", name, "installed, started by chat-platform up")
    advice = "chat-platform install does it in advance"
    return Finding("note", name, "not installed yet: the first start does it", advice)


def _pages() -> Finding:
    if frontend.is_built():
        return Finding("ok", "Pages", "built")
    return Finding("note", "Pages", "not built or out of date: the next start builds them")


def _models(settings: Settings) -> Finding:
    if settings.is_demo:
        advice = "set GEMINI_API_KEY for a real model"
        return Finding("note", "Model", "the demo model answers", advice)
    return Finding("ok", "Model", f"{settings.model_for_chat}, {settings.model_for_embeddings}")


def _port(settings: Settings, places: Places) -> Finding:
    state = read_status(places)["state"]
    if state != "not running":
        return Finding("ok", "Server", f"{state} on port {settings.port}")
    if is_free(settings.port, settings.host):
        return Finding("note", "Server", "not running", "make run")
    words = f"port {settings.port} is in use by something else"
    return Finding("wrong", "Server", words, "stop it, or set another PORT")


def _peer_checks(settings: Settings, places: Places) -> list[Callable[[], Awaitable[Finding]]]:
    """Return the checks of the peers: the configured ones, or the running embedded ones."""
    running = read_status(places)
    is_up = running["state"] == "ready"
    peers = running["peers"] if is_up else {}
    letta_url = settings.letta_base_url or peers.get("letta", {}).get("url", "")
    litellm_url = settings.litellm_base_url or peers.get("litellm", {}).get("url", "")
    checks: list[Callable[[], Awaitable[Finding]]] = []
    if letta_url:
        checks.append(lambda: _letta(settings, letta_url))
        checks.append(lambda: password_finding(letta_url))
        checks.append(lambda: reach_finding(letta_url))
    if litellm_url:
        checks.append(lambda: _litellm(settings, litellm_url))
        checks.append(lambda: _streamed_cost(settings, litellm_url))
    return checks


async def _letta(settings: Settings, url: str) -> Finding:
    token = settings.letta_api_token.get_secret_value()
    status = await _status_of(f"{url}/v1/agents/?limit=1", token)
    if status == 200:
        return Finding("ok", "Letta answers", url)
    if status in (401, 403):
        return Finding("wrong", "Letta answers", f"{status} at {url}", "check LETTA_API_TOKEN")
    return Finding(
        "wrong", "Letta answers", _said(status, url), "start it, or check LETTA_BASE_URL"
    )


async def _litellm(settings: Settings, url: str) -> Finding:
    status = await _status_of(f"{url}/health/readiness", "")
    if status == 200:
        return Finding("ok", "LiteLLM answers", url)
    advice = "start it, or check LITELLM_BASE_URL"
    return Finding("wrong", "LiteLLM answers", _said(status, url), advice)


async def _streamed_cost(settings: Settings, url: str) -> Finding:
    """Request one streamed token: the only way to see whether the cost comes with the answer."""
    subject = "Cost of streamed answers"
    try:
        last = await _last_chunk(settings, url)
    except (httpx.HTTPError, ValueError) as exc:
        words = f"{settings.model_for_chat} did not answer ({type(exc).__name__})"
        return Finding("wrong", subject, words, "check the model's name and the provider's key")
    if (last.get("usage") or {}).get("cost") is not None:
        return Finding("ok", subject, "reported in the last chunk (tested with one token)")
    advice = "set litellm_settings.include_cost_in_streaming_usage: true in LiteLLM's config"
    return Finding("wrong", subject, "LiteLLM does not report it", advice)


async def _last_chunk(settings: Settings, url: str) -> dict[str, Any]:
    body = {
        "model": settings.model_for_chat,
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 1,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    async with _client(settings.litellm_master_key.get_secret_value()) as client:
        answer = await client.post(f"{url}/v1/chat/completions", json=body, timeout=30)
    answer.raise_for_status()
    chunks = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    return json.loads(chunks[-1]) if chunks else {}


async def _status_of(url: str, token: str) -> int | None:
    try:
        async with _client(token) as client:
            return (await client.get(url)).status_code
    except httpx.HTTPError:
        return None


def _client(token: str) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(headers=headers, timeout=_TIMEOUT_SECONDS)


def _said(status: int | None, url: str) -> str:
    return f"no answer at {url}" if status is None else f"{status} at {url}"
