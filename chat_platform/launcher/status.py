"""Records what is running, and reads it for `chat-platform status`."""

import json
import os
from pathlib import Path
from typing import Any, Literal

import psutil

from chat_platform.launcher.places import Places
from chat_platform.launcher.supervisor import Supervisor

State = Literal["starting", "ready", "degraded", "stopping", "not running"]
"""`degraded`: it was ready, and a peer is being restarted."""


def write_status(places: Places, supervisor: Supervisor, *, state: State, url: str) -> None:
    """Write `run/status.json` atomically; scripts may wait for its `ready`."""
    trouble = any(peer.state != "running" for peer in supervisor.states.values())
    status = {
        "state": "degraded" if state == "ready" and trouble else state,
        "url": url,
        "launcher_pid": os.getpid(),
        "peers": supervisor.as_dict(),
    }
    part = places.status.with_suffix(".part")
    part.write_text(json.dumps(status, indent=2))
    part.replace(places.status)


def read_status(places: Places) -> dict[str, Any]:
    """Return the launcher's last status; `not running` if that launcher is gone."""
    try:
        status = json.loads(places.status.read_text())
    except (OSError, ValueError):
        return {"state": "not running", "url": "", "launcher_pid": None, "peers": {}}
    if not _is_launcher(status["launcher_pid"]):
        status["state"] = "not running"
    return status


def status_lines(status: dict[str, Any]) -> list[str]:
    lines = [f"{status['state']}  {status['url']}".rstrip()]
    for peer in status["peers"].values():
        trouble = f", {peer['restarts']} restarts" if peer["restarts"] else ""
        trouble += f", last: {peer['last_failure']}" if peer["last_failure"] else ""
        lines.append(f"  {peer['title']:<12} {peer['state']:<11} {peer['url']}{trouble}")
    return lines


def remove_status(places: Places) -> None:
    Path(places.status).unlink(missing_ok=True)


def _is_launcher(pid: int) -> bool:
    try:
        return "chat-platform" in " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return False
