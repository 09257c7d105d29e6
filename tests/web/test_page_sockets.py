"""The pages' sockets on a running server: too many tabs, foreign hosts, and what is left behind."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import count

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from chat_platform.state.page_sockets import MAX_TABS_OF_ACCOUNT
from tests.pages.page_socket import NAMESPACE, PageSocket, cookie_of, sign_up
from tests.web.bare_server import BareServer, bare_server

pytestmark = pytest.mark.programs

STATE = "reflex___state____state"
ACCOUNT = f"{STATE}.chat_platform___state___account____account_state"
HYDRATE = f"{STATE}.hydrate"
WORDS = "the heron nests behind the boathouse"
GOODBYE = f"41{NAMESPACE},"
_numbers = count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareServer]:
    with bare_server(tmp_path_factory.mktemp("bare")) as running:
        yield running


def say_something(socket: PageSocket) -> None:
    socket.send(HYDRATE)
    socket.send(f"{ACCOUNT}.show_problem", {"message": WORDS, "values": "{}"})
    socket.send(HYDRATE)
    assert WORDS in socket.listen(until=WORDS)


def test_nothing_is_kept_of_a_stranger_who_left(server: BareServer):
    with PageSocket(server.url, cookie="", token="stranger") as page:
        say_something(page)

    with PageSocket(server.url, cookie="", token="stranger") as page:
        page.send(HYDRATE)

        assert WORDS not in page.listen(seconds=1)


def test_the_tab_that_was_silent_longest_is_told_and_sleeps(server: BareServer):
    with ExitStack() as tabs:
        ada = tabs.enter_context(closing(sign_up(server.url, f"ada{next(_numbers)}@tabs.example")))

        def tab(name: str) -> PageSocket:
            opened = PageSocket(server.url, cookie=cookie_of(ada), token=name)
            tabs.enter_context(opened)
            opened.send(HYDRATE)
            opened.listen(until=ACCOUNT)
            return opened

        busy, silent, *_ = [tab(f"tab-{n}") for n in range(MAX_TABS_OF_ACCOUNT)]
        busy.send(HYDRATE)
        busy.listen(seconds=0.5)
        tab("one-too-many")

        told = silent.listen(until=GOODBYE)
        assert '"is_asleep_rx_state_":true' in told.replace(" ", "")
        assert GOODBYE in told
        assert GOODBYE not in busy.listen(seconds=0.5)


def test_another_host_is_refused_without_a_traceback(server: BareServer):
    before = len(server.log)
    port = server.url.rpartition(":")[2]

    with pytest.raises(InvalidStatus) as refused:
        connect(
            f"ws://evil.example/{NAMESPACE}/?EIO=4&transport=websocket&token=x",
            additional_headers={"Origin": "http://evil.example"},
            sock=socket.create_connection(("127.0.0.1", int(port))),
        )

    assert refused.value.response.status_code in range(400, 500)
    assert "Traceback" not in server.log[before:]


def test_no_way_to_hang_up_leaves_a_traceback(server: BareServer):
    with PageSocket(server.url, cookie="", token="large") as page:
        page.send_frame("x" * 50_000)
        page.listen(seconds=0.5)
    with PageSocket(server.url, cookie="", token="fast") as page:
        for _ in range(400):
            page.send(HYDRATE)
        page.listen(seconds=0.5)

    assert "page_socket.closed" in server.log
    assert "Traceback" not in server.log
    assert "never retrieved" not in server.log
