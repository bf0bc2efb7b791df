"""The parts of uvicorn and httptools that the server uses, some of which are not public."""

import asyncio
import re
import signal
import socket

import pytest
from langcache_mockserver.http import uvicorn_server
from langcache_mockserver.http.asgi_extensions import BODY_IS_HERE, HANG_UP, is_alone
from uvicorn.server import ServerState
from uvicorn.supervisors import multiprocess

HEAD = b"POST /path HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n"
BODY = b"body"


class Transport(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self):
        super().__init__()
        self.writes = []
        self.closed = False
        self.aborted = False
        self.unsent = 0

    def write(self, data):
        self.writes.append(bytes(data))

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True

    def get_write_buffer_size(self):
        return self.unsent

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


class Connections:
    """Connections to an application; each request waits until it may respond."""

    def __init__(self):
        self.scopes = []
        self.respond = asyncio.Event()
        self.headers = []
        self.seconds = 30
        listener = socket.socket()
        listener.close()  # there are no others to let in
        app = uvicorn_server._adapted(self.app)
        self.config = uvicorn_server._config(app, listener, 3, self.seconds)
        self.call_later = None
        self.time = None
        self.state = ServerState()
        self.app_state = {}

    async def app(self, scope, receive, send):
        extensions = {**scope["extensions"]}
        self.scopes.append((scope, extensions))
        await self.respond.wait()
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"response"})

    def connect(self):
        transport = Transport()
        loop = Loop(self) if self.call_later else None
        make = self.config.http_protocol_class
        protocol = make(self.config, self.state, self.app_state, _loop=loop)
        protocol.connection_made(transport)
        return protocol, transport


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def connections():
    made = Connections()
    made.config.load()
    yield made
    made.respond.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not made.state.tasks
    for protocol in made.state.connections.copy():
        protocol.connection_lost(None)


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.anyio
async def test_head_and_body_of_a_response_are_one_write(connections):
    protocol, transport = connections.connect()
    connections.respond.set()
    for _ in range(2):
        protocol.data_received(HEAD + BODY)
        await turns()
    assert len(transport.writes) == 2
    for write in transport.writes:
        assert write.startswith(b"HTTP/1.1 200 OK\r\n")
        assert write.endswith(b"response\r\n0\r\n\r\n")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("head", "ends", "closes"),
    [
        (HEAD, b"\r\ncontent-length: 8\r\n\r\nresponse", False),
        (HEAD.replace(b"POST", b"HEAD"), b"\r\ncontent-length: 8\r\n\r\n", False),
        (HEAD.replace(b"/1.1", b"/1.0"), b"\r\nconnection: close\r\n\r\nresponse", True),
    ],
)
async def test_a_response_that_has_a_length_is_one_write(connections, head, ends, closes):
    protocol, transport = connections.connect()
    connections.headers = [(b"content-length", b"8")]
    connections.respond.set()
    protocol.data_received(head + BODY)
    await turns()
    (write,) = transport.writes
    assert write.startswith(b"HTTP/1.1 200 OK\r\n")
    assert write.endswith(ends)
    assert transport.closed == closes


@pytest.mark.anyio
@pytest.mark.parametrize("header", [(b"x", b"a\r\nb: c"), (b"a b", b"c"), (b"x", b"\n")])
async def test_a_response_with_a_wrong_head_is_not_sent(connections, header):
    protocol, transport = connections.connect()
    connections.headers = [(b"content-length", b"8"), header]
    connections.respond.set()
    protocol.data_received(HEAD + BODY)
    await turns()
    assert b"".join(transport.writes).count(b"response") == 0
    assert transport.closed


@pytest.mark.anyio
async def test_the_application_knows_whether_a_body_is_here(connections):
    for received in (HEAD + BODY, HEAD):
        connections.connect()[0].data_received(received)
    await turns()
    assert [BODY_IS_HERE in extensions for _, extensions in connections.scopes] == [True, False]


@pytest.mark.anyio
async def test_the_application_knows_whether_a_request_is_alone(connections):
    connections.connect()[0].data_received(HEAD + BODY)
    await turns()
    [(first, _)] = connections.scopes
    assert is_alone(first)
    connections.connect()[0].data_received(HEAD + BODY)
    assert not is_alone(first)  # as soon as the other has arrived
    await turns()
    assert not is_alone(connections.scopes[1][0])
    connections.respond.set()
    await turns()
    connections.connect()[0].data_received(HEAD + BODY)
    assert is_alone(first)


@pytest.mark.anyio
async def test_the_application_can_hang_up(connections):
    _, transport = connection = connections.connect()
    connection[0].data_received(HEAD + BODY)
    await turns()
    [(_, extensions)] = connections.scopes
    assert not transport.closed
    extensions[HANG_UP](reset=False)
    assert transport.closed


@pytest.mark.anyio
async def test_what_is_not_http_is_refused_with_a_problem(connections):
    protocol, transport = connections.connect()
    protocol.data_received(b"not HTTP\r\n\r\n")
    assert transport.closed
    assert b"".join(transport.writes).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'"type":"/errors/invalid-data"' in b"".join(transport.writes)


def answers(transport):
    return re.findall(rb"HTTP/1.1 (\d+)", b"".join(transport.writes))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "sent",
    [
        [b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 70_000],
        [b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ", *[b"y" * 1000] * 70],
        [b"GET /", *[b"y" * 1000] * 70],
        [b"GET / HTTP/1.1\r\n", *[b"x: y\r\n" * 100] * 200],
        [b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 20_000 + b"\r\n"],
        [b"\r\n" * 20_000, b"\r\n" * 20_000],
    ],
)
async def test_a_head_has_a_largest_size(connections, sent):
    protocol, transport = connections.connect()
    for part in sent:
        protocol.data_received(part)
    await turns()
    assert answers(transport) == [b"431"]
    assert transport.closed
    assert not connections.scopes
    protocol.data_received(HEAD + BODY)  # is not read any more
    await turns()
    assert answers(transport) == [b"431"]


@pytest.mark.anyio
async def test_a_head_of_the_largest_size_is_read(connections):
    connections.respond.set()
    protocol, transport = connections.connect()
    for _ in range(3):
        head = HEAD[:-2] + b"x: " + b"y" * (uvicorn_server.MAX_HEAD_BYTES - len(HEAD) - 100)
        for start in range(0, len(head), 1000):
            protocol.data_received(head[start : start + 1000])
        protocol.data_received(b"\r\n\r\n" + BODY)
        await turns()
    assert answers(transport) == [b"200"] * 3


CHUNKED = HEAD.replace(b"content-length: 4", b"transfer-encoding: chunked")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "sent",
    [
        [b"0\r\n", b"x: ", *[b"y" * 1000] * 70],
        [b"0\r\n", *[b"x: y\r\n" * 100] * 200],
        [b"4;", *[b"y" * 1000] * 70],
    ],
)
async def test_so_have_trailers_and_what_surrounds_a_chunk(connections, sent):
    protocol, transport = connections.connect()
    for part in (CHUNKED, *sent):
        protocol.data_received(part)
    await turns()
    assert answers(transport) == [b"431"]
    assert transport.closed


@pytest.mark.anyio
async def test_trailers_are_not_headers(connections):
    connections.respond.set()
    protocol, transport = connections.connect()
    protocol.data_received(CHUNKED + b"4\r\nbody\r\n0\r\nauthorization: Bearer k\r\n\r\n")
    protocol.data_received(HEAD + BODY)
    await turns()
    assert answers(transport) == [b"200", b"200"]
    for scope, _ in connections.scopes:
        assert b"authorization" not in dict(scope["headers"])


@pytest.mark.anyio
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("at_once", [True, False])
async def test_what_follows_a_request_and_is_not_http_is_refused_after_its_answer(
    connections, count, at_once
):
    protocol, transport = connections.connect()
    for part in (
        [b"".join([HEAD + BODY] * count) + b"nonsense\r\n\r\n"]
        if at_once
        else [
            *[HEAD + BODY] * count,
            b"nonsense\r\n\r\n",
        ]
    ):
        protocol.data_received(part)
    await turns()
    assert not transport.writes
    connections.respond.set()
    await turns(20)
    assert answers(transport) == [b"200"] * count + [b"400"]
    assert transport.closed


@pytest.mark.anyio
async def test_a_broken_body_is_a_400_for_its_own_request(connections):
    protocol, transport = connections.connect()
    protocol.data_received(HEAD + BODY + CHUNKED + b"nonsense\r\n")
    await turns()
    assert not transport.writes
    connections.respond.set()
    await turns(20)
    assert answers(transport) == [b"200", b"400"]
    protocol, transport = connections.connect()
    connections.respond.clear()
    protocol.data_received(CHUNKED)
    await turns()
    protocol.data_received(b"nonsense\r\n")
    assert answers(transport) == [b"400"]
    assert transport.closed


@pytest.mark.anyio
async def test_what_follows_an_upgrade_is_not_another_request(connections):
    connections.respond.set()
    protocol, transport = connections.connect()
    upgrade = HEAD[:-2] + b"upgrade: h2c\r\nconnection: upgrade\r\n\r\n"
    protocol.data_received(upgrade)
    protocol.data_received(b"GET /another HTTP/1.1\r\nhost: localhost\r\n\r\n")
    await turns()
    assert answers(transport) == [b"200"]
    assert transport.closed
    assert len(connections.scopes) == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("sent", "respond"),
    [
        ([], False),  # a connection without a request
        ([HEAD[:-2]], False),  # without the end of the head
        ([HEAD + BODY + HEAD[:-2]], True),  # the same, in a second request
        ([HEAD + b"bo"], True),  # answered before the body is here
        ([HEAD + b"bo", b"d"], True),
    ],
)
async def test_a_connection_that_stops_in_the_middle_is_closed(connections, sent, respond):
    timers = Timers(connections)
    protocol, transport = connections.connect()
    if respond:
        connections.respond.set()
    for part in sent:
        protocol.data_received(part)
        await turns()
    timers.fire(connections.seconds)
    assert transport.closed


@pytest.mark.anyio
async def test_a_connection_that_does_not_stop_stays_open(connections):
    timers = Timers(connections)
    protocol, transport = connections.connect()
    protocol.data_received(HEAD)  # the application decides how long to wait for the body
    await turns()
    timers.fire(connections.seconds)
    protocol.data_received(BODY)
    connections.respond.set()
    await turns()
    protocol.data_received(HEAD + b"bo")
    await turns()
    protocol.data_received(b"dy")
    timers.fire(connections.seconds)
    await turns()
    assert answers(transport) == [b"200"] * 2
    assert not transport.closed


@pytest.mark.anyio
async def test_a_client_that_does_not_take_its_response_is_left(connections):
    timers = Timers(connections)
    connections.respond.set()
    protocol, transport = connections.connect()
    protocol.data_received(HEAD + BODY)
    await turns()
    transport.unsent = 10 << 20
    protocol.pause_writing()
    for _ in range(3):
        transport.unsent -= 1 << 20
        timers.fire(connections.seconds)
        assert not transport.aborted
    transport.unsent -= 1000
    timers.fire(connections.seconds)
    assert transport.aborted


@pytest.mark.anyio
async def test_a_client_that_takes_its_response_is_not_left(connections):
    timers = Timers(connections)
    connections.respond.set()
    protocol, transport = connections.connect()
    protocol.data_received(HEAD + BODY)
    await turns()
    transport.unsent = 10 << 20
    protocol.pause_writing()
    protocol.resume_writing()
    timers.fire(connections.seconds)
    assert not transport.aborted


@pytest.mark.anyio
async def test_an_idle_connection_whose_response_is_not_taken_is_left_in_the_end(connections):
    timers = Timers(connections)
    connections.respond.set()
    protocol, transport = connections.connect()
    protocol.data_received(HEAD + BODY)
    await turns()
    timers.fire(protocol.timeout_keep_alive)
    assert (transport.closed, transport.aborted) == (True, False)
    timers.fire(connections.seconds)
    assert transport.aborted


@pytest.mark.anyio
async def test_a_connection_is_closed_when_it_has_been_idle_since_its_last_response(connections):
    timers = Timers(connections)
    connections.respond.set()
    protocol, transport = connections.connect()
    limit = protocol.timeout_keep_alive
    for second in range(3):
        timers.now = second
        protocol.data_received(HEAD + BODY)
        await turns()
    timers.now = 0
    timers.fire(limit)  # after the first response
    assert not transport.closed
    protocol.data_received(HEAD)
    timers.fire(2)  # after the last one
    assert not transport.closed
    protocol.data_received(BODY)
    await turns()
    timers.fire(limit)
    assert transport.closed
    assert answers(transport) == [b"200"] * 4


@pytest.mark.anyio
async def test_a_request_that_is_cut_at_shutdown_is_told_to_try_again(connections):
    protocol, transport = connections.connect()
    protocol.data_received(HEAD + BODY)
    await turns()
    for task in connections.state.tasks:
        task.cancel()
    await turns()
    assert answers(transport) == [b"503"]
    assert b"retry-after: 1\r\n" in b"".join(transport.writes)
    assert transport.closed


class Timers:
    """The clock of an event loop and its timers, which fire when they are told to."""

    def __init__(self, connections):
        self.pending = []
        self.now = 0.0
        connections.call_later = self.call_later
        connections.time = lambda: self.now

    def call_later(self, seconds, function):
        timer = Timer(seconds, function)
        self.pending.append(timer)
        return timer

    def fire(self, seconds):
        self.now += seconds
        for timer in self.pending.copy():
            if timer.seconds == seconds and not timer.cancelled:
                timer.cancel()
                timer.function()


class Timer:
    def __init__(self, seconds, function):
        self.seconds = seconds
        self.function = function
        self.cancelled = False

    def cancel(self):
        self.cancelled = True


class Loop:
    """The running event loop, with other timers."""

    def __init__(self, connections):
        self._connections = connections
        self._loop = asyncio.get_running_loop()

    def call_later(self, seconds, function):
        return self._connections.call_later(seconds, function)

    def time(self):
        return self._connections.time()

    def __getattr__(self, name):
        return getattr(self._loop, name)


class Process:
    """A server process that is ready, or could not start."""

    is_ready = True

    def __init__(self, config, sockets):
        pass

    def start(self):
        pass

    def wait_until_ready(self, seconds):
        return self.is_ready


@pytest.mark.parametrize("is_ready", [True, False])
def test_processes_are_ready_when_all_are(monkeypatch, is_ready):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(Process, "is_ready", is_ready)
    monkeypatch.setattr(multiprocess, "Process", Process)
    calls = []
    processes = uvicorn_server.ServerProcesses(
        lambda: None, None, 2, lambda: calls.append("ready"), shutdown_seconds=3
    )
    processes.init_processes()
    assert len(processes.processes) == 2
    assert calls == (["ready"] if is_ready else [])
    assert processes.failed == processes.should_exit.is_set() == (not is_ready)


def test_connections_that_come_together_are_accepted_together():
    count = 64
    listener = uvicorn_server.listen("127.0.0.1", 0)
    turns_taken = []

    async def app(scope, receive, send):
        assert scope["type"] == "lifespan"
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def connect():
        clients = [socket.create_connection(listener.getsockname()) for _ in range(count)]
        for turn in range(1000):
            if len(server.server_state.connections) == count:
                turns_taken.append(turn)
                break
            await asyncio.sleep(0)
        for client in clients:
            client.close()
        server.should_exit = True

    def connect_when_ready():
        tasks.append(asyncio.ensure_future(connect()))

    tasks = []
    server = uvicorn_server.Server(app, listener, connect_when_ready)
    server.run()
    assert turns_taken[0] < count / 2  # uvloop itself accepts one in a turn
