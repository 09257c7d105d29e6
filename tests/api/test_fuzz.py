"""Whatever is sent, every answer is one that the OpenAPI document promises, and none is a 500.

`FUZZ_EXAMPLES` sets how many requests each route gets; `make fuzz` sends many.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from chat_platform.accounts import normalise_email
from chat_platform.api.app import create_api
from chat_platform.errors import Invalid
from chat_platform.settings import Settings
from tests.api.served import Served, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def is_address(text: str) -> bool:
    try:
        normalise_email(text)
    except Invalid:
        return False
    return True


EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "30"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("fuzz")
    shutil.copy(migrated_sqlite, folder / "platform.db")
    configured = Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        environment="test",
        data_dir=folder,
        secret_key=SecretStr("s" * 40),
    )
    with serving(configured) as served:
        yield served


# What JSON Schema can't say: which addresses are real ones, and how long a text is in bytes.
schemathesis.openapi.format("email", st.emails().filter(is_address))
schemathesis.openapi.format(
    "password",
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=8, max_size=18
    ),
)

document = schemathesis.openapi.from_dict(create_api().openapi())


@document.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_every_answer_is_as_promised(case: schemathesis.Case, served: Served):
    case.call_and_validate(base_url=served.url, headers=served.person.headers)
