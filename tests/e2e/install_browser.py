"""Installs the browser of the tests where there is none: Debian's, else Playwright's own."""

import os
import shutil
import subprocess
import sys


def chromium() -> str | None:
    """Return the path of an installed Chromium; None means Playwright's own."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def install() -> None:
    if chromium():
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet)
        packages = ["chromium", "fonts-dejavu-core", "fonts-noto-color-emoji"]
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
            check=True,
            env=quiet,
            stdout=subprocess.DEVNULL,
        )
        return
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


if __name__ == "__main__":
    install()
