"""The embedded Letta's door, in front of an application that answers everything."""

import httpx
import pytest

from chat_platform.launcher.letta.door import Door

PASSWORD = "letta-password"
HOST = "127.0.0.1:8283"
BEARER = {"authorization": f"Bearer {PASSWORD}"}
TRICKS = (
    *("x/v1/health/?", "x/v1/health/#", f"{HOST}/v1/health/?", f"{HOST}@x/v1/health/?"),
    *("", "evil.example", "127.0.0.1", "127.0.0.1:1", f"{HOST}."),
)


async def _let_in(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"let in"})


@pytest.fixture
def http() -> httpx.AsyncClient:
    door = Door(_let_in, password=PASSWORD, hosts=[HOST])
    return httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url=f"http://{HOST}")


async def test_health_is_open(http: httpx.AsyncClient):
    assert (await http.get("/v1/health/")).status_code == 200


async def test_the_password_opens_what_the_platform_calls(http: httpx.AsyncClient):
    assert (await http.get("/v1/agents/", headers=BEARER)).status_code == 200
    assert (await http.post("/v1/agents/agent-1/messages", headers=BEARER)).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        None,
        "Bearer ",
        "Bearer wrong",
        f"Basic {PASSWORD}",
        PASSWORD,
        f"Bearer {PASSWORD}x",
        f"Bearer {PASSWORD}, Bearer {PASSWORD}",
    ],
)
async def test_without_the_password_nothing_opens(http: httpx.AsyncClient, given: str | None):
    headers = {"authorization": given} if given is not None else {}

    assert (await http.get("/v1/agents/", headers=headers)).status_code == 401


@pytest.mark.parametrize("host", TRICKS)
@pytest.mark.parametrize("headers", [{}, BEARER])
async def test_no_host_but_its_own_is_answered(
    http: httpx.AsyncClient, host: str, headers: dict[str, str]
):
    answer = await http.get("/v1/agents/", headers={**headers, "host": host})

    assert answer.status_code == 421


@pytest.mark.parametrize("host", TRICKS)
async def test_health_answers_any_host(http: httpx.AsyncClient, host: str):
    answer = await http.get("/v1/health/", headers={"host": host})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/tools/run", "/v1/tools/", "/v1/providers/", "/v1/sources/", "/v1/agents/import"),
        *("/v1/agents/a/../tools/", "/v1/agents/a%2F..%2F..%2Ftools%2Frun", "/v1/health/../tools/"),
        *("/openapi.json", "/docs", "/", "/v1/health", "//v1/agents/", "/v1/agents/a/messages/"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_what_the_platform_never_calls_is_not_there(
    http: httpx.AsyncClient, method: str, path: str
):
    answer = await http.request(method, f"http://{HOST}{path}", headers=BEARER)

    assert answer.status_code == 404
