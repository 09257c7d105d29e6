"""What `chat-platform doctor` finds out about a Letta, embedded or external."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from chat_platform.launcher.letta_exposure import password_finding, reach_finding


class _Letta(BaseHTTPRequestHandler):
    """A Letta whose password check trusts the Host header, unless it is `mended`."""

    asks_for_password = True
    is_mended = False

    def do_GET(self) -> None:
        believed = self.path if self.is_mended else f"{self.headers['host']}{self.path}"
        is_health = "/v1/health/" in believed
        self.send_response(200 if is_health or not self.asks_for_password else 401)
        self.end_headers()
        self.wfile.write(json.dumps([]).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[str]:
    host, kind = request.param
    server = ThreadingHTTPServer((host, 0), type("Letta", (_Letta,), kind))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("served", [("127.0.0.1", {})], indirect=True)
async def test_a_letta_whose_password_can_be_skipped_is_told_with_the_way_out(served: str):
    finding = await password_finding(served)

    assert finding.verdict == "wrong"
    assert "CVE-2026-48710" in finding.words
    assert "starlette" in finding.advice
    assert "\n" not in finding.line()


@pytest.mark.parametrize("served", [("127.0.0.1", {"asks_for_password": False})], indirect=True)
async def test_a_letta_without_a_password_is_told(served: str):
    finding = await password_finding(served)

    assert finding.verdict == "wrong"
    assert "LETTA_SERVER_PASSWORD" in finding.advice


@pytest.mark.parametrize("served", [("127.0.0.1", {"is_mended": True})], indirect=True)
async def test_a_mended_letta_is_fine(served: str):
    assert (await password_finding(served)).verdict == "ok"


@pytest.mark.parametrize("served", [("0.0.0.0", {})], indirect=True)
async def test_a_letta_that_listens_on_every_address_is_told(served: str):
    # 127.0.0.2 stands for an address that others can reach.
    finding = await reach_finding(served, ["127.0.0.2"])

    assert finding.verdict == "wrong"
    assert "127.0.0.1" in finding.advice


@pytest.mark.parametrize("served", [("127.0.0.1", {})], indirect=True)
async def test_a_letta_that_listens_here_only_is_fine(served: str):
    assert (await reach_finding(served, ["127.0.0.2"])).verdict == "ok"


@pytest.mark.parametrize(
    ("url", "verdict"), [("http://letta.internal:8283", "note"), ("https://letta.example", "ok")]
)
async def test_a_letta_elsewhere_should_be_asked_by_https(url: str, verdict: str):
    assert (await reach_finding(url)).verdict == verdict
