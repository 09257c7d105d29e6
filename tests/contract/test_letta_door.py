"""The real Letta behind its door: the password cannot be bypassed, and few routes are open."""

import json
import re
import subprocess
from urllib.parse import urlsplit

import httpx
import pytest

from chat_platform.launcher.ground import reachable
from chat_platform.launcher.letta.door import HEALTH, OPEN_ROUTES
from chat_platform.launcher.letta.peer import ENVIRONMENT
from tests.launcher.test_letta_door import TRICKS
from tests.peers import Peers, places_of_peers

pytestmark = pytest.mark.chain

# Letta's app reads the command line.
_LIST_ROUTES = """
import json, sys
sys.argv = ["letta", "server", "--no-generation"]
from letta.server.rest_api.app import app
found = [c for r in app.routes for c in getattr(r, "effective_route_contexts", lambda r=r: [r])()]
routes = [(m, r.path) for r in found for m in getattr(r, "methods", None) or ()]
print("ROUTES" + json.dumps(routes))
"""


@pytest.fixture
def letta(embedded_peers: Peers) -> httpx.Client:
    return httpx.Client(base_url=embedded_peers.letta_url, timeout=30)


@pytest.fixture
def bearer(embedded_peers: Peers) -> dict[str, str]:
    return {"authorization": f"Bearer {embedded_peers.letta_token}"}


@pytest.mark.parametrize("host", TRICKS)
def test_no_host_header_leads_round_the_password(letta: httpx.Client, host: str):
    answer = letta.get("/v1/agents/", headers={"host": host})

    assert answer.status_code in (400, 421)
    assert "agent" not in answer.text


def test_the_password_still_opens_it(letta: httpx.Client, bearer: dict[str, str]):
    assert letta.get("/v1/agents/?limit=1", headers=bearer).status_code == 200


def test_tools_cannot_be_run_with_the_password_either(letta: httpx.Client, bearer: dict[str, str]):
    body = {"source_code": "def f():\n    return 1", "args": {}, "name": "f"}

    assert letta.post("/v1/tools/run", json=body, headers=bearer).status_code == 404


@pytest.mark.slow
def test_every_route_of_the_running_server_is_needed_or_closed(
    letta: httpx.Client, bearer: dict[str, str], embedded_peers: Peers
):
    routes = _routes_of(embedded_peers)
    needed = {(method, path) for method, path in routes if _is_needed(method, path)}

    answers = {
        (method, path): letta.request(method, path, headers=bearer).status_code
        for method, path in routes - needed
        if path != HEALTH
    }

    assert len(needed) == len(OPEN_ROUTES)
    assert set(answers.values()) <= {404}
    assert ("POST", "/v1/tools/run") in answers


@pytest.mark.slow
def test_every_route_but_health_needs_the_password(letta: httpx.Client, embedded_peers: Peers):
    answers = {
        path: letta.request(method, path).status_code
        for method, path in _routes_of(embedded_peers)
        if path != "/v1/health/"
    }

    assert set(answers.values()) == {401}


def _is_needed(method: str, path: str) -> bool:
    filled = re.sub(r"\{[^}]+\}", "x-1", path)
    return path != "/v1/health/" and any(
        method == known and route.fullmatch(filled) for known, route in OPEN_ROUTES
    )


def _routes_of(peers: Peers) -> set[tuple[str, str]]:
    """Get the routes of Letta's own application, with a plain word for each parameter."""
    places = reachable(places_of_peers(peers))
    home = peers.data_dir / "letta"
    done = subprocess.run(
        [str(ENVIRONMENT.python(places)), "-c", _LIST_ROUTES],
        cwd=home,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LETTA_DIR": str(home)}
        | {"LETTA_PG_URI": f"postgresql://nobody@127.0.0.1:{urlsplit(peers.letta_url).port}/x"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    listed = next(line for line in done.stdout.splitlines() if line.startswith("ROUTES"))
    return {(m, re.sub(r"\{[^}]+\}", "x-1", path)) for m, path in json.loads(listed[6:])}
