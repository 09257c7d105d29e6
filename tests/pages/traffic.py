"""Counts what a page receives: over its socket, and in requests."""

from playwright.sync_api import Page, WebSocket


class Traffic:
    """Counts from its creation on; open the page afterwards to include the socket."""

    def __init__(self, page: Page) -> None:
        self.socket_bytes = 0
        self.texts: list[str] = []
        page.on("websocket", self._watch)

    def _watch(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._count)

    def _count(self, payload: str | bytes) -> None:
        text = payload if isinstance(payload, str) else payload.decode(errors="replace")
        self.texts.append(text)
        self.socket_bytes += len(text.encode())
