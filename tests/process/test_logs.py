"""Secrets never reach a log, in whatever form."""

import errno
import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.errors import NotFound
from chat_platform.process.log_lines import SOCKET_LINES, without_words
from chat_platform.settings import Settings
from tests.log_text import logging_into_text

PASSWORD = "correct horse battery"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLXBhcnQ"
DIARY = "my diary"
API_TOKEN = "cp_" + "a1B2" * 10


@pytest.fixture(params=["development", "production"])
def log_text(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """The log's content, set up for each environment in turn."""
    settings = Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        environment=request.param,
        secret_key=SecretStr("the-secret-key-of-this-installation-0123"),
        database_url=SecretStr("postgresql://chat:db-password@db/chat"),
    )
    with logging_into_text(settings) as text:
        yield text


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


def test_a_traceback_is_kept_but_the_errors_words_are_not(log_text: io.StringIO):
    try:
        raise ValueError(f"cannot read {DIARY}")
    except ValueError:
        structlog.get_logger().exception("request.failed")
        logging.getLogger("library").exception("it failed")

    assert log_text.getvalue().count("test_logs.py") == 2
    assert log_text.getvalue().count("{DIARY}") == log_text.getvalue().count("_are_not") == 2
    assert DIARY not in log_text.getvalue()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "ConnectionRefusedError ECON"),
        (NotFound("There is no such turn.", code="no_turn"), "NotFound no_turn"),
        (OSError(DIARY), "OSError"),
    ],
)
def test_an_error_is_told_by_its_codes(log_text: io.StringIO, error: Exception, told: str):
    structlog.get_logger().error("request.failed", exc_info=error)

    assert told in log_text.getvalue()
    assert DIARY not in log_text.getvalue()


def test_libraries_do_not_log_what_they_send_even_when_we_debug():
    settings = Settings(_env_file=None, log_level="DEBUG")  # pyright: ignore[reportCallIssue]
    with logging_into_text(settings) as text:
        logging.getLogger("letta_client._base_client").debug("Request options: %s", DIARY)
        structlog.get_logger("chat_platform.turns").debug("turn.news_not_sent")

    assert DIARY not in text.getvalue()
    assert "turn.news_not_sent" in text.getvalue()


@pytest.mark.parametrize("log_text", ["production"], indirect=True)
def test_production_logs_are_json(log_text: io.StringIO):
    structlog.get_logger().info("turn.finished", turn_id="t1", seconds=1.5)

    line = json.loads(log_text.getvalue())
    assert (line["event"], line["turn_id"], line["level"]) == ("turn.finished", "t1", "info")


def test_what_people_wrote_cannot_look_like_a_line_of_ours(log_text: io.StringIO):
    forged = "2026-01-01T00:00:00Z [error    ] everything.is_lost"

    structlog.get_logger().warning(f"one\n{forged}", detail=f"two\r{forged}\x1b[2K\u2028{forged}")
    logging.getLogger("library").error("three\n%s", forged)

    written = log_text.getvalue()
    assert not any(line.startswith("2026-01-01") for line in written.splitlines())
    assert written.count("\n    ") == written.count("\n") - 2
    assert "\x1b" not in written


def test_a_line_has_an_end(log_text: io.StringIO):
    structlog.get_logger().warning("w" * 50_000, detail="x" * 50_000, exception="y" * 50_000)

    assert len(log_text.getvalue()) < 20_000


def test_the_sockets_libraries_write_little_and_no_traceback(log_text: io.StringIO):
    try:
        raise ValueError(f"cannot read {PASSWORD}")
    except ValueError:
        for _ in range(500):
            logging.getLogger("engineio.server").exception("message handler error")

    assert "message handler error (ValueError)" in log_text.getvalue()
    assert PASSWORD not in log_text.getvalue()
    assert len(log_text.getvalue().splitlines()) <= SOCKET_LINES


def test_no_library_writes_past_our_formatter(log_text: io.StringIO):
    assert log_text.getvalue() == ""
    loggers = [x for x in logging.root.manager.loggerDict.values() if isinstance(x, logging.Logger)]

    assert [logger.name for logger in loggers if logger.handlers] == []


def test_a_tabs_token_in_an_address_is_hidden(log_text: io.StringIO):
    logging.getLogger("uvicorn.access").info('"GET /_event/?EIO=4&token=0a1b2c&x=1" 101')

    assert "0a1b2c" not in log_text.getvalue()
    assert "&x=1" in log_text.getvalue()


def test_an_errors_words_can_be_left_out():
    try:
        try:
            raise KeyError(PASSWORD)
        except KeyError as exc:
            raise ValueError(f"bad {PASSWORD}") from exc
    except ValueError as exc:
        told = without_words(exc)

    assert PASSWORD not in told.replace("{PASSWORD}", "").replace("(PASSWORD)", "")
    assert told.count("test_logs.py") == 2
    assert told.endswith("ValueError")


async def test_the_databases_errors_do_not_quote_what_was_to_be_stored(ctx: AppContext):
    with pytest.raises(DBAPIError) as caught:
        async with transaction(ctx.engine) as session:
            await session.execute(text("insert into nowhere values (:a)"), {"a": PASSWORD})

    assert PASSWORD not in str(caught.value)
