"""Starts the GoTrue-compatible servers of the Supabase rig, and uses their test endpoints."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from chat_platform.launcher.free_ports import free_port
from chat_platform.settings import Settings

UP = Path(__file__).parents[3] / "shared" / "rigs" / "supabase" / "up.sh"


@dataclass(frozen=True)
class Rig:
    """`open_url` signs people up at once; `confirming_url` confirms their address first."""

    open_url: str
    confirming_url: str
    public_key: str
    secret_key: str
    jwt_secret: str

    def settings(self, url: str) -> Settings:
        return Settings(
            _env_file=None,  # pyright: ignore[reportCallIssue]
            secret_key=SecretStr("s" * 40),
            supabase_url=url,
            supabase_anon_key=SecretStr(self.public_key),
            supabase_service_key=SecretStr(self.secret_key),
            supabase_jwt_secret=SecretStr(self.jwt_secret),
        )

    async def mailed_code(self, url: str, email: str) -> str:
        """Return the code of the newest mail to this address."""
        async with httpx.AsyncClient(base_url=url) as http:
            mails = (await http.get("/__test/mail", params={"to": email})).json()
        return mails[-1]["otp"]

    async def fail_next(self, url: str, path: str, **fault: object) -> None:
        """Make the next request to this path get this answer instead."""
        async with httpx.AsyncClient(base_url=url) as http:
            await http.post("/__test/fault", json={"match": path, **fault})


@pytest.fixture(scope="session")
def supabase_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    if not UP.exists():
        pytest.skip(f"the Supabase rig is not here: {UP}")
    home = tmp_path_factory.mktemp("rig")
    environment = {**os.environ, "RIG_HOME": str(home)}
    ports = [free_port(), free_port()]
    command = ["bash", str(UP)]
    subprocess.run([*command, *map(str, ports)], env=environment, check=True, timeout=300)
    lines = (home / "supabase" / "run" / "keys.env").read_text().splitlines()
    keys = dict(line.split("=", 1) for line in lines)
    try:
        yield Rig(
            open_url=f"http://127.0.0.1:{ports[0]}",
            confirming_url=f"http://127.0.0.1:{ports[1]}",
            public_key=keys["PUBLISHABLE"],
            secret_key=keys["SECRET"],
            jwt_secret=keys["JWT_SECRET"],
        )
    finally:
        subprocess.run([*command, "stop"], env=environment, check=True, timeout=60)
