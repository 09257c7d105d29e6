"""The services' `railway.json`: what they name exists, and only keys that Railway documents."""

import json
from pathlib import Path

import pytest

from chat_platform.launcher.letta.door import HEALTH
from chat_platform.launcher.server import DRAIN_SECONDS
from chat_platform.settings import Settings
from chat_platform.web.doors import HEALTH_PATHS

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "server": ROOT / "railway.json",
    "letta": ROOT / "deploy" / "letta" / "railway.json",
    "litellm": ROOT / "deploy" / "litellm" / "railway.json",
}
BUILD = {"builder", "dockerfilePath"}
DEPLOY = {
    *("preDeployCommand", "healthcheckPath", "healthcheckTimeout"),
    *("restartPolicyType", "restartPolicyMaxRetries", "overlapSeconds", "drainingSeconds"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_service_is_described_in_railways_terms(name: str):
    told = json.loads(FILES[name].read_text())

    assert set(told) == {"$schema", "build", "deploy"}
    assert set(told["build"]) == BUILD
    assert set(told["deploy"]) <= DEPLOY
    dockerfile = (ROOT / told["build"]["dockerfilePath"]).read_text()
    # Railway refuses both.
    assert "VOLUME" not in dockerfile
    assert "--mount=type=cache" not in dockerfile


def test_the_server_has_time_to_finish_and_a_health_path_for_any_host():
    deploy = json.loads(FILES["server"].read_text())["deploy"]

    assert deploy["drainingSeconds"] > DRAIN_SECONDS
    assert deploy["healthcheckPath"] in HEALTH_PATHS
    assert json.loads(FILES["letta"].read_text())["deploy"]["healthcheckPath"] == HEALTH


def test_the_public_domain_is_an_allowed_origin_and_the_pages_address():
    settings = Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        railway_public_domain="Chat.up.railway.app",
        backend_base_url="http://server.railway.internal:8000",
    )

    assert settings.origins == {"https://chat.up.railway.app"}
    assert settings.public_url == "https://chat.up.railway.app"
