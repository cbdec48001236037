"""Connections are kept, and an answer that is not whole is none."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from common.keepalive import Answer, BrokenOffError, KeepAlive, TooLateError, UnreachableError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


CHUNKED = (
    b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nno\r\nB;x=y\r\n such thing\r\n0\r\nX-Trailer: 1\r\n\r\n"
)


class Peer:
    """A server that echoes a request's first byte, or sends the next of its answers, in any pieces.

    None as an answer hangs up, as does the end of the list.
    """

    def __init__(self) -> None:
        self.answers: list[list[bytes] | None] = []
        self.echo = False
        self.connections = 0
        self.hung_up = threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while self.echo and (asked := connection.recv(65_536)):
                connection.sendall(OK.replace(b": 2", b": 1")[:-2] + asked[:1])
            while self.answers and connection.recv(65_536):
                answer = self.answers.pop(0)
                if answer is None:
                    break
                for piece in answer:
                    connection.sendall(piece)
        self.hung_up.release()


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


POST = b"POST / HTTP/1.1\r\n\r\n"


def post(client: KeepAlive) -> Answer:
    [outcome] = client.exchange([POST])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def test_a_connection_serves_one_call_after_another(peer):
    peer.answers = [[OK], [OK[:20], OK[20:45], OK[45:]], [OK], None]
    client = KeepAlive(peer.url, 1, 1)
    assert [post(client) for _ in range(3)] == [Answer(200, b"ok")] * 3
    assert peer.connections == 1


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_answer_in_chunks_is_put_together_however_it_is_cut(peer, size):
    pieces = [CHUNKED[n : n + size] for n in range(0, len(CHUNKED), size)]
    peer.answers = [pieces, [OK], None]
    client = KeepAlive(peer.url, 1, 1)
    assert [post(client), post(client)] == [Answer(404, b"no such thing"), Answer(200, b"ok")]
    assert peer.connections == 1


def test_what_is_hung_up_is_not_used_again(peer):
    peer.answers = [[OK], [OK]]
    client = KeepAlive(peer.url, 1, 1)
    post(client)
    client.hang_up()
    assert post(client) == Answer(200, b"ok")
    assert peer.connections == 2


def test_a_connection_the_other_side_closed_meanwhile_is_not_used_again(peer):
    peer.answers = [[OK]]
    client = KeepAlive(peer.url, 1, 1)
    post(client)
    peer.hung_up.acquire(timeout=5)
    peer.answers = [[OK]]
    assert post(client) == Answer(200, b"ok")
    assert peer.connections == 2


def test_a_connection_is_not_kept_if_the_answer_says_so(peer):
    peer.answers = [[OK.replace(b"Content", b"connection: Close\r\nCONTENT")], None, [OK]]
    client = KeepAlive(peer.url, 1, 1)
    assert post(client) == Answer(200, b"ok")
    assert client._idle == []


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [b"HTTP/1.1 200 OK\r\n"],
        [OK[:-1]],
        [b"HTTP/1.1 200 OK\r\n\r\nok"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
        [CHUNKED[:-2]],
        [CHUNKED.replace(b"2\r", b"two\r")],
        [CHUNKED + b"more"],
        [OK + b"more"],
        [b"SSH-2.0-server\r\n\r\n"],
        [b"x" * 70_000],
    ],
    ids=[
        *("none", "half a head", "half a body", "no length", "other coding", "no last line"),
        *("no number", "too many chunks", "too much", "no HTTP", "no end"),
    ],
)
def test_an_answer_that_is_not_whole_is_a_closed_connection_and_the_next_call_gets_a_new_one(peer, answer):
    peer.answers = [answer]
    client = KeepAlive(peer.url, 1, 1)
    with pytest.raises(BrokenOffError):
        post(client)
    peer.answers = [[OK], None]
    assert post(client) == Answer(200, b"ok")


def test_an_answer_that_does_not_come_is_a_read_time_out(peer):
    peer.answers = [[b""], None]
    with pytest.raises(TooLateError):
        post(KeepAlive(peer.url, 1, 0.05))


def test_nobody_listening_is_told_at_once():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UnreachableError):
        post(KeepAlive(f"http://127.0.0.1:{port}", 0.5, 1))


def test_an_https_address_is_spoken_to_in_tls_only(peer):
    peer.answers = [[OK]]
    with pytest.raises(UnreachableError):
        post(KeepAlive(peer.url.replace("http:", "https:"), 1, 1))


def test_calls_at_once_have_connections_of_their_own_and_keep_them(peer):
    peer.answers = [[OK]] * 200 + [None] * 8
    client = KeepAlive(peer.url, 1, 5)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: post(client), range(200)))
    assert answers == [Answer(200, b"ok")] * 200
    assert 1 <= peer.connections <= 8


def test_many_requests_share_as_many_connections_as_may_be_under_way_and_answers_keep_their_places(peer):
    bodies = [str(n % 10).encode() for n in range(50)]
    peer.echo = True
    client = KeepAlive(peer.url, 1, 5)
    outcomes = client.exchange((b"%b\r\n\r\n" % body for body in bodies), 8)
    assert outcomes == [Answer(200, body) for body in bodies]
    assert peer.connections == 8
    assert len(client._idle) == 8


def test_a_failure_among_many_stands_in_its_place_and_the_others_are_answered(peer):
    peer.answers = [[OK], None, [OK], None, [OK], None]
    outcomes = KeepAlive(peer.url, 1, 5).exchange([POST] * 5)
    closed = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, BrokenOffError)]
    assert (closed, outcomes[0], outcomes[2], outcomes[4]) == ([1, 3], *[Answer(200, b"ok")] * 3)


def test_an_exchange_that_breaks_off_leaves_no_connection_that_owes_an_answer(peer):
    def requests() -> Iterator[bytes]:
        yield POST
        raise RuntimeError("a request that cannot be made")

    peer.answers = [[OK], None]
    client = KeepAlive(peer.url, 1, 5)
    with pytest.raises(RuntimeError):
        client.exchange(requests(), 2)
    assert client._idle == []


def test_of_many_requests_that_nobody_answers_each_has_its_own_time(peer):
    peer.answers = [[b""]] * 3 + [None] * 3
    outcomes = KeepAlive(peer.url, 1, 0.05).exchange([POST] * 3, 3)
    assert all(isinstance(outcome, TooLateError) for outcome in outcomes)


def test_where_nobody_listens_one_try_stands_for_all():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    outcomes = KeepAlive(f"http://127.0.0.1:{port}", 0.5, 1).exchange([POST] * 9, 2)
    assert all(isinstance(outcome, UnreachableError) for outcome in outcomes)
    assert len(set(map(id, outcomes))) == 1
