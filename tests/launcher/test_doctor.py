from pathlib import Path

import pytest

from chat_platform.launcher.doctor import Finding, examine
from chat_platform.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Peers are configured, but not running."""
    return settings.model_copy(
        update={"letta_base_url": "http://127.0.0.1:1", "litellm_base_url": "http://127.0.0.1:1"}
    )


async def findings(settings: Settings) -> dict[str, Finding]:
    return {finding.subject: finding for finding in await examine(settings)}


async def test_every_wrong_thing_comes_with_what_to_do(settings: Settings):
    wrong = [f for f in (await findings(settings)).values() if f.verdict == "wrong"]

    assert {f.subject for f in wrong} >= {"Letta answers", "LiteLLM answers"}
    assert all(finding.advice for finding in wrong)


async def test_secrets_that_others_can_read_are_wrong(settings: Settings, tmp_path: Path):
    file = tmp_path / "secrets.env"
    file.touch(mode=0o600)
    before = (await findings(settings))["Secrets"]
    file.chmod(0o644)
    after = (await findings(settings))["Secrets"]

    assert before.verdict == "ok"
    assert after.verdict == "wrong"
    assert f"chmod 600 {file}" in after.line()


async def test_no_finding_shows_a_secret(settings: Settings):
    lines = "\n".join(finding.line() for finding in await examine(settings))

    assert settings.secret_key.get_secret_value() not in lines
    assert settings.litellm_master_key.get_secret_value() not in lines
