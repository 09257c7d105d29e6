"""The images, built once per run, and the stack that is made of them."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.containers import docker_engine, prisma_engine
from tests.containers.docker_engine import Docker
from tests.containers.stack import Stack, has_room
from tests.install_tools import chromium
from tests.pages.visitor import LAUNCH


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    if not docker_engine.RIG.exists():
        pytest.skip(f"the Docker rig is not here: {docker_engine.RIG}")
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.skip("the Docker rig needs root, and Debian's packages")
    if not has_room():
        pytest.skip("the images need 12 GB in /var/tmp")
    yield docker_engine.start()
    docker_engine.stop()


@pytest.fixture(scope="session")
def images(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The names of our images by service, built from the Dockerfiles."""
    with ThreadPoolExecutor() as at_once, prisma_engine.mirror() as url:
        building = [
            at_once.submit(docker.build, "chat-platform-letta", "deploy/letta/Dockerfile"),
            at_once.submit(
                *(docker.build, "chat-platform-litellm", "deploy/litellm/Dockerfile"),
                PRISMA_ENGINES_MIRROR=url,
            ),
            at_once.submit(docker.build, "chat-platform-server", "Dockerfile"),
        ]
        for build in building:
            build.result()
    folder = tmp_path_factory.mktemp("prisma-engine")
    prisma_engine.add_to(docker, "chat-platform-litellm", folder)
    return {name: f"chat-platform-{name}" for name in ("server", "letta", "litellm")}


@pytest.fixture(scope="session")
def stack(
    docker: Docker, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    running = Stack(docker, tmp_path_factory.mktemp("stack"))
    running.down("-v")
    running.up()
    yield running
    running.down("-v")


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {**LAUNCH, "executable_path": chromium()}
