"""The public endpoints of a Supabase project that access tokens need: its keys, its users."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from chat_platform.values.clock import now_ms

Algorithm = Literal["ES256", "RS256", "EdDSA"]
_WRITERS = {"ES256": ECAlgorithm, "RS256": RSAAlgorithm, "EdDSA": OKPAlgorithm}


@dataclass(frozen=True)
class Key:
    kid: str
    algorithm: Algorithm
    private: Any

    def public(self) -> dict[str, Any]:
        """Return the key as Supabase publishes it."""
        jwk = json.loads(_WRITERS[self.algorithm].to_jwk(self.private.public_key()))
        return jwk | {"kid": self.kid, "alg": self.algorithm, "use": "sig"}


def make_key(algorithm: Algorithm, kid: str = "first") -> Key:
    makers: dict[str, PrivateKeyTypes] = {
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }
    return Key(kid, algorithm, makers[algorithm])


@dataclass
class Project:
    """What the server answers, for a test to change; `asked` counts fetches of the keys."""

    url: str = ""
    keys: list[Key] = field(default_factory=list)
    body: bytes | None = None
    """Sent in place of the keys."""
    status: int = 200
    has_person: bool = True
    asked: int = 0

    def token(self, key: Key, *, kid: str = "", **change: Any) -> str:
        claims = {
            "iss": f"{self.url}/auth/v1",
            "sub": "5f2b5a8e-1111-4222-8333-444455556666",
            "aud": "authenticated",
            "role": "authenticated",
            "email": "Alice@example.com",
            "exp": now_ms() // 1000 + 600,
        }
        headers = {"kid": kid or key.kid}
        return jwt.encode(claims | change, key.private, algorithm=key.algorithm, headers=headers)

    def answer(self, path: str) -> tuple[int, bytes]:
        if path == "/auth/v1/user":
            known = b'{"id": "5f2b5a8e"}', b'{"error_code": "user_not_found"}'
            return (200, known[0]) if self.has_person else (403, known[1])
        self.asked += 1
        keys = json.dumps({"keys": [key.public() for key in self.keys]}).encode()
        return self.status, keys if self.body is None else self.body


@contextmanager
def serving(project: Project) -> Iterator[Project]:
    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = project.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    project.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield project
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
