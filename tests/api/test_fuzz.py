"""Whatever is sent, every answer is one that the OpenAPI document lists, and none is a 500.

`FUZZ_EXAMPLES` sets how many requests each route gets; `make fuzz` sends many. With `FUZZ_PATHS`
only these paths are tried, which takes seconds.
"""

import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from chat_platform.api.app import create_api
from chat_platform.errors import Invalid
from chat_platform.settings import Settings
from chat_platform.values.addresses import normalise_email
from tests.api.served import Served, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def is_address(text: str) -> bool:
    try:
        normalise_email(text)
    except Invalid:
        return False
    return True


def has_whole_nano_dollars(body: object) -> bool:
    """JSON Schema cannot limit the decimals of a number."""
    amount = body.get("budget_usd") if isinstance(body, dict) else None
    if not isinstance(amount, float):
        return True
    exponent = Decimal(str(amount)).as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -9


KNOWN_MESSAGE = "01a21554-9f02-76f5-8a2b-549a6647a290"
"""A message of the requesting person: `before` accepts no other."""
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "30"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("fuzz")
    shutil.copy(migrated_sqlite, folder / "platform.db")
    configured = Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        # Elsewhere a password is also refused if it is easy to guess, which no schema can express.
        environment="development",
        registration="open",
        data_dir=folder,
        secret_key=SecretStr("s" * 40),
    )
    with serving(configured, message_id=KNOWN_MESSAGE) as served:
        yield served


# What JSON Schema can't express: which addresses are valid, and how long a text is in bytes.
schemathesis.openapi.format("email", st.emails().filter(is_address))
schemathesis.openapi.format(
    "password",
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=8, max_size=18
    ),
)

schemathesis.openapi.format("message-id", st.just(KNOWN_MESSAGE))

document = schemathesis.openapi.from_dict(create_api().openapi())
# A text too long for the schema may also be too long for any body.
odd_data = document.config.checks.negative_data_rejection
odd_data.expected_statuses = [*odd_data.expected_statuses, "413"]
if "FUZZ_PATHS" in os.environ:
    document = document.include(path=os.environ["FUZZ_PATHS"].split())


@document.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """What JSON Schema can't express about two fields: a period ends after it begins."""
    query = case.query if isinstance(case.query, dict) else {}
    try:
        start, end = (datetime.fromisoformat(str(query[name])) for name in ("from", "to"))
        return start < end
    except (KeyError, TypeError, ValueError):
        return True


@document.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_every_answer_is_as_promised(case: schemathesis.Case, served: Served):
    assume(has_whole_nano_dollars(case.body))
    case.call_and_validate(base_url=served.url, headers=served.person.headers)
