"""Installs what tests need besides Python: a browser, and servers where Debian has them.

Without apt-get, or without the right to use it, Playwright's own browser is used, and tests that
need such a server are skipped.
"""

import os
import shutil
import subprocess
import sys

_BROWSER_PACKAGES = ("chromium", "fonts-dejavu-core", "fonts-noto-color-emoji")
_SERVER_PACKAGES = {"redis-server": "redis-server", "pgbouncer": "pgbouncer", "nginx": "nginx"}
"""Packages by program."""


def chromium() -> str | None:
    """Return the path of an installed Chromium; None means Playwright's own."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def install() -> None:
    if shutil.which("apt-get") and os.geteuid() == 0:
        _install_packages(_missing_packages())
    elif not chromium():
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


def _missing_packages() -> list[str]:
    browser = [] if chromium() else [*_BROWSER_PACKAGES]
    return browser + [p for program, p in _SERVER_PACKAGES.items() if not shutil.which(program)]


def _install_packages(packages: list[str]) -> None:
    if not packages:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
    ):
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    install()
