"""What docker-compose.yml promises, read from the file."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from chat_platform.launcher.letta import peer as letta
from chat_platform.launcher.places import Places
from chat_platform.launcher.postgres import Postgres
from chat_platform.launcher.stack_secrets import NAMES, env_lines
from chat_platform.settings import Settings
from tests.containers.stack import ONCE

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
NOT_FOR_CONTAINERS = {
    **dict.fromkeys(("environment", "data_dir", "host"), "set by the image"),
    **dict.fromkeys(("port",), "the port outside; inside it is 8000"),
    **dict.fromkeys(("letta_encryption_key",), "Letta's container has it, the server needs none"),
    **dict.fromkeys(
        ("letta_database_password", "chat_platform_env_dir", "proxy_port", "demo_faults"),
        "for embedded services or tests",
    ),
    "litellm_has_database": "it has one",
    "railway_public_domain": "Railway sets it",
}


def test_every_setting_reaches_the_server_or_is_not_for_containers():
    given = {name.lower() for name in SERVICES["server"]["environment"]}

    assert given | set(NOT_FOR_CONTAINERS) == set(Settings.model_fields)
    assert not given & set(NOT_FOR_CONTAINERS)


def test_every_secret_is_required_and_made_by_the_command():
    required = set(re.findall(r"\$\{([A-Z_]+):\?", TEXT))

    assert required == set(NAMES)
    assert [line.partition("=")[0] for line in env_lines()] == list(NAMES)
    assert all(len(line.partition("=")[2]) >= 48 for line in env_lines())
    assert set(env_lines()).isdisjoint(env_lines())


@pytest.mark.parametrize("doc", ["README.md", "README.ru.md", "docs/operate.md"])
def test_the_secrets_are_made_before_the_first_compose_command(doc: str):
    """Compose reads the whole file for every command, and refuses it without them."""
    commands = [
        line for line in (ROOT / doc).read_text().splitlines() if line.startswith("docker ")
    ]

    first_compose = next(n for n, line in enumerate(commands) if "docker compose" in line)
    assert any("make-env > .env" in line for line in commands[:first_compose])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_that_it_does_not_need(name: str):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert ("mem_limit" in service and "pids_limit" in service) or name in ONCE
    assert not service.get("privileged")
    assert not {"cap_add", "network_mode", "pid"} & set(service)


def test_only_the_server_is_published_and_only_to_this_machine():
    published = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}

    assert published == {"server": ["127.0.0.1:${PORT:-8000}:8000"]}


def test_letta_shares_networks_with_the_server_and_its_database_only():
    nets = {name: set(each["networks"]) for name, each in SERVICES.items()}

    beside = {name for name, own in nets.items() if own & nets["letta"]}

    assert beside == {"letta", "letta-migrate", "server", "postgres"}
    assert yaml.safe_load(TEXT)["networks"]["agent"] == {"internal": True}


def test_no_image_moves_under_us():
    tags = {each["image"] for each in SERVICES.values() if not each.get("build")}

    assert all(":" in tag and not tag.endswith(":latest") for tag in tags)


def test_letta_is_set_up_as_the_launcher_does_it(settings: Settings, tmp_path: Path):
    settings = settings.model_copy(update={"letta_encryption_key": SecretStr("x")})
    places = Places(tmp_path, tmp_path / "env")
    database = Postgres(tmp_path, tmp_path, 5432, "secret", None, {})
    embedded = letta.peer(settings, places, database, 8283).program.environment
    image = _environment_of(ROOT / "deploy" / "letta" / "Dockerfile")

    given = {**image, **SERVICES["letta"]["environment"]}

    own = {"PATH", "LANG", "LC_ALL", "TMPDIR", "HOME", "LETTA_DIR", "LETTA_HOST"}
    assert set(embedded) - own <= set(given)
    plain = set(embedded) & set(image) - own
    assert {name: image[name] for name in plain} == {name: embedded[name] for name in plain}


def _environment_of(dockerfile: Path) -> dict[str, str]:
    last_stage = dockerfile.read_text().rpartition("FROM ")[2]
    return {
        name: value.strip('"')
        for name, value in re.findall(r"^(?:ENV| {3}) ([A-Z_]+)=(\S*)", last_stage, re.M)
    }
