"""Secrets never reach a log, whichever way they try."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from pydantic import SecretStr

from chat_platform.logs import set_up_logging
from chat_platform.settings import Settings

PASSWORD = "correct horse battery"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLXBhcnQ"
API_TOKEN = "cp_" + "a1B2" * 10


@pytest.fixture(params=["development", "production"])
def log_text(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What the log holds, set up for each environment in turn."""
    root, old_structlog = logging.getLogger(), structlog.get_config()
    old_handlers, old_level = root.handlers[:], root.level
    settings = Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        environment=request.param,
        secret_key=SecretStr("the-secret-key-of-this-installation-0123"),
        database_url=SecretStr("postgresql://chat:db-password@db/chat"),
    )
    set_up_logging(settings)
    text = io.StringIO()
    root.handlers[0].setStream(text)  # pyright: ignore[reportAttributeAccessIssue]
    yield text
    root.handlers[:] = old_handlers
    root.setLevel(old_level)
    structlog.configure(**old_structlog)


def test_fields_that_are_called_secret_are_hidden(log_text: io.StringIO):
    structlog.get_logger().info("login", password=PASSWORD, detail={"new_password": PASSWORD})

    assert "login" in log_text.getvalue()
    assert PASSWORD not in log_text.getvalue()


@pytest.mark.parametrize(
    "secret",
    [
        JWT,
        API_TOKEN,
        "sk-acct-0190-1-abcdef0123456789",
        "sb_secret_abcdefghijklmnop",
        "the-secret-key-of-this-installation-0123",
        "db-password",
    ],
)
def test_what_looks_like_a_secret_is_hidden_in_any_text(log_text: io.StringIO, secret: str):
    shown = f"postgresql://chat:{secret}@db/chat" if secret == "db-password" else secret

    structlog.get_logger().warning("peer.failed", answer=f"refused {shown} today")
    logging.getLogger("library").error("sent Authorization: Bearer %s", shown)

    assert secret not in log_text.getvalue()
    assert log_text.getvalue().count("[hidden]") >= 2


def test_a_traceback_is_kept_but_its_secrets_are_not(log_text: io.StringIO):
    try:
        raise ValueError(f"bad token {API_TOKEN}")
    except ValueError as exc:
        structlog.get_logger().error("request.failed", exc_info=exc)

    assert "ValueError: bad token [hidden]" in log_text.getvalue()


@pytest.mark.parametrize("log_text", ["production"], indirect=True)
def test_production_logs_are_json(log_text: io.StringIO):
    structlog.get_logger().info("turn.finished", turn_id="t1", seconds=1.5)

    line = json.loads(log_text.getvalue())
    assert (line["event"], line["turn_id"], line["level"]) == ("turn.finished", "t1", "info")
