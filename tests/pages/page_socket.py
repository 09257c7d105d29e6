"""The pages' socket as used by a program, without a browser and its restrictions."""

import contextlib
import json
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

NAMESPACE = "/_event"
_MESSAGE = f"42{NAMESPACE},"


class PageSocket:
    """`with PageSocket(url, cookie=..., token=...) as socket: socket.send(name)`"""

    def __init__(self, url: str, *, cookie: str, token: str) -> None:
        address = url.replace("http", "ws", 1)
        self._connection = connect(
            f"{address}{NAMESPACE}/?EIO=4&transport=websocket&token={token}",
            additional_headers={"Origin": url, **({"Cookie": cookie} if cookie else {})},
            max_size=None,
        )
        self.heard = ""
        """Everything that has arrived."""

    def __enter__(self) -> "PageSocket":
        self._hear(5)
        self._connection.send(f"40{NAMESPACE},")
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, name: str, payload: dict[str, Any] | None = None, path: str = "/chat") -> None:
        router = {"pathname": path, "asPath": path, "query": {}}
        event = {"name": name, "payload": payload or {}, "router_data": router}
        self.send_frame(_MESSAGE + json.dumps(["event", event]))

    def send_frame(self, frame: str) -> None:
        """Send data that need not be an event; ignored if the socket was closed because of it."""
        with contextlib.suppress(ConnectionClosed):
            self._connection.send(frame)

    def listen(self, *, until: str = "", seconds: float = 5) -> str:
        """Return all that has arrived, once it contains a word or nothing came for this long."""
        while not (until and until in self.heard) and self._hear(seconds):
            pass
        return self.heard

    def is_open(self) -> bool:
        return self._hear(0.5) or not self._is_closed

    _is_closed = False

    def _hear(self, seconds: float) -> bool:
        try:
            frame = self._connection.recv(timeout=seconds)
        except TimeoutError:
            return False
        except ConnectionClosed:
            self._is_closed = True
            return False
        if frame == "2":
            self._connection.send("3")
        self.heard += str(frame)
        return True


def cookie_of(client: httpx.Client) -> str:
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)


def sign_up(url: str, email: str) -> httpx.Client:
    """Return a browser's cookies for a new person."""
    client = httpx.Client(base_url=url, headers={"Origin": url}, timeout=30)
    person = {"email": email, "password": "correct horse battery", "name": "Anna"}
    answer = client.post("/api/v1/session/register", data=person)
    assert answer.headers["location"] == "/chat", answer.headers
    return client
