"""The operator's commands for people."""

import httpx
import pytest
from typer.testing import CliRunner

from chat_platform.cli import app
from chat_platform.context import AppContext
from chat_platform.errors import NotFound
from chat_platform.launcher.people import issue_reset_code, promote
from tests.people import Person


async def test_the_first_administrator_is_made_by_command(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    await promote(ctx.engine, "ALICE@example.com")

    answer = await client.get("/api/v1/admin/accounts", headers=alice.headers)
    assert answer.status_code == 200


async def test_who_is_not_registered_becomes_no_administrator(ctx: AppContext):
    with pytest.raises(NotFound):
        await promote(ctx.engine, "nobody@example.com")


async def test_without_a_mail_server_an_operator_issues_the_code(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    code = await issue_reset_code(ctx.engine, alice.account.email)

    body = {"email": alice.account.email, "code": code, "password": "another battery"}
    answer = await client.post("/api/v1/auth/reset/confirm", json=body)
    assert answer.status_code == 204


def test_a_command_that_fails_says_why_in_one_line(
    monkeypatch: pytest.MonkeyPatch, database_url: str
):
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("SECRET_KEY", "s" * 40)

    result = CliRunner().invoke(app, ["make-admin", "nobody@example.com"])

    assert result.exit_code == 1
    assert result.stderr == "Nobody is registered as nobody@example.com.\n"
