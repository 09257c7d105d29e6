"""Invitations over REST: administrators create, list and revoke them; for others they are 404."""

import asyncio

import httpx
import pytest
from typer.testing import CliRunner

from chat_platform.accounts.registration import Papers
from chat_platform.cli import app
from chat_platform.context import AppContext
from chat_platform.errors import NotAllowed
from tests.people import Person
from tests.registering import registered, under

PATH = "/api/v1/admin/invitations"


async def make(client: httpx.AsyncClient, root: Person, **body) -> dict:
    answer = await client.post(PATH, json=body, headers=root.headers)
    assert answer.status_code == 201
    return answer.json()


async def test_an_administrator_gets_a_code_and_a_link_once(
    client: httpx.AsyncClient, root: Person
):
    made = await make(client, root, budget_usd="2.50", expires_in_days=3, email="Ada@example.com")
    listed = (await client.get(PATH, headers=root.headers)).json()["invitations"]

    assert made["link"] == f"http://platform.test/register?invitation={made['code']}"
    assert (made["budget_usd"], made["email"]) == ("2.500000000", "ada@example.com")
    assert listed == [{k: v for k, v in made.items() if k not in ("code", "link")}]


async def test_a_revoked_invitation_opens_nothing(
    ctx: AppContext, client: httpx.AsyncClient, root: Person
):
    made = await make(client, root)

    answer = await client.delete(f"{PATH}/{made['id']}", headers=root.headers)

    assert answer.status_code == 204
    with pytest.raises(NotAllowed) as refused:
        await registered(under(ctx, "invite"), "new@example.com", Papers(made["code"]))
    assert refused.value.code == "invitation_needed"
    (listed,) = (await client.get(PATH, headers=root.headers)).json()["invitations"]
    assert listed["status"] == "revoked"


async def test_a_used_invitation_is_past_revoking_and_says_who_used_it(
    ctx: AppContext, client: httpx.AsyncClient, root: Person
):
    made = await make(client, root)
    account = await registered(under(ctx, "invite"), "new@example.com", Papers(made["code"]))

    answer = await client.delete(f"{PATH}/{made['id']}", headers=root.headers)

    assert answer.status_code == 404
    (listed,) = (await client.get(PATH, headers=root.headers)).json()["invitations"]
    assert (listed["status"], listed["used_by"]) == ("used", account.id)


async def test_the_list_goes_on_page_by_page(client: httpx.AsyncClient, root: Person):
    made = [(await make(client, root))["id"] for _ in range(3)]

    first = (await client.get(f"{PATH}?limit=2", headers=root.headers)).json()
    rest = await client.get(f"{PATH}?limit=2&before={first['next_before']}", headers=root.headers)

    ids = [row["id"] for row in (*first["invitations"], *rest.json()["invitations"])]
    assert ids == made[::-1]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_others_find_no_invitations(client: httpx.AsyncClient, alice: Person, method: str):
    answer = await client.request(method, PATH, json={}, headers=alice.headers)

    assert answer.status_code == 404


async def test_a_budget_nobody_may_have_is_refused(client: httpx.AsyncClient, root: Person):
    answer = await client.post(PATH, json={"budget_usd": "-1"}, headers=root.headers)

    assert answer.status_code == 422


class TestByCommand:
    @pytest.fixture(autouse=True)
    def environment(self, monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
        monkeypatch.setenv("DATABASE_URL", database_url)
        monkeypatch.setenv("SECRET_KEY", "s" * 40)
        monkeypatch.setenv("BACKEND_BASE_URL", "https://chat.example.com")

    async def test_the_operator_invites(self, ctx: AppContext):
        command = ["invite", "--budget", "5", "--expires", "12h"]
        result = await asyncio.to_thread(CliRunner().invoke, app, command)

        code, link, *_ = result.stdout.splitlines()
        assert link == f"https://chat.example.com/register?invitation={code}"
        account = await registered(under(ctx, "invite"), "new@example.com", Papers(code))
        assert account.email == "new@example.com"

    @pytest.mark.parametrize(
        "wrong", [("--budget", "much"), ("--expires", "soon"), ("--email", "nobody")]
    )
    def test_what_makes_no_sense_is_said_in_one_line(self, wrong: tuple[str, str]):
        result = CliRunner().invoke(app, ["invite", *wrong])

        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1
