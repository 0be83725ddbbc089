"""The server as a process: attacks by size and slowness, its end by a signal, and where it may listen."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import threading
import time

import pytest
from fastapi import FastAPI
from serving_setup import key_of

from loan_default.errors import ConfigurationError
from loan_default.serving.http.access import Access
from loan_default.serving.http.http_server import Address, check_reachable, listening_socket, run_server

KEY = key_of("0" * 12)


def access_with(*keys):
    access = Access(lambda: keys, open_locally=False)
    access.refresh()
    return access


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9"])
def test_without_keys_it_listens_on_this_machine_alone(host):
    check_reachable(Address(host=host, port=1), access_with())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connections_send_small_parts_at_once(host):
    with (
        listening_socket(Address(host=host, port=0)) as listening,
        socket.create_connection(listening.getsockname()[:2]),
    ):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.org", "127.0.0.1.example.org"])
def test_elsewhere_it_refuses_to_start_without_a_key(host):
    with pytest.raises(ConfigurationError, match="must have a key"):
        check_reachable(Address(host=host, port=1), access_with())
    check_reachable(Address(host=host, port=1), access_with(KEY))


def test_a_port_that_is_taken_is_named():
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigurationError, match="Cannot listen"),
    ):
        run_server(
            FastAPI(),
            Address(host="127.0.0.1", port=taken.getsockname()[1]),
            head_seconds=1,
            started=print,
            refresh=lambda: None,
        )


def ask(port, request, *, seconds=20.0):
    """What a server answers to raw bytes, until it closes the connection or a whole answer is there."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
        return read_answer(connection)


def read_answer(connection):
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while block := connection.recv(65_536):
            answer += block
            head, _, body = answer.partition(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line[:15] == b"content-length:"), 0
            )
            if len(body) >= length:
                break
    return answer


@pytest.fixture
def run_here():
    """Runs a server in a thread; called with whether to stop, and what to do with the port."""
    switching = sys.getswitchinterval()
    yield lambda stop, started, refresh=lambda: None: run_server(
        FastAPI(),
        Address(host="127.0.0.1", port=0),
        head_seconds=10,
        started=started,
        refresh=refresh,
        stop=stop,
    )
    sys.setswitchinterval(switching)
    gc.unfreeze()


@pytest.mark.slow
def test_an_end_that_was_asked_for_before_it_listens_is_not_lost(run_here):
    ports = []
    run_here(lambda: True, ports.append)
    assert ports == []


@pytest.mark.slow
def test_a_head_that_is_too_large_is_refused(run_here):
    ports, is_up, stop = [], threading.Event(), threading.Event()

    def started(port):
        ports.append(port)
        is_up.set()

    server = threading.Thread(target=run_here, args=(stop.is_set, started))
    server.start()
    try:
        assert is_up.wait(20)
        fields = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1_000) for number in range(2_000))
        for head in (b"GET /" + b"x" * 2_000_000, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + fields):
            with socket.create_connection(("127.0.0.1", ports[0]), timeout=5) as connection:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.sendall(head)  # and no end: without a bound it would wait for more
                assert read_answer(connection)[:12] in (b"HTTP/1.1 400", b"")
    finally:
        stop.set()
        server.join(20)
    assert not server.is_alive()


@pytest.mark.slow
def test_keys_are_read_anew_while_all_threads_of_requests_wait(run_here, monkeypatch):
    monkeypatch.setattr("loan_default.serving.http.http_server.REFRESH_SECONDS", 0.05)
    free, stop, names = threading.Event(), threading.Event(), []

    def started(port):
        for _ in range(64):
            asyncio.get_running_loop().run_in_executor(None, free.wait, 20)

    def refresh():
        names.append(threading.current_thread().name)
        free.set()
        stop.set()

    run_here(stop.is_set, started, refresh)
    assert names[0].startswith("keys")


HEAD = b"POST /v1/scores HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.integration
def test_a_gigabyte_is_refused_declared_or_in_chunks_and_takes_no_memory(http_process):
    before = http_process.resident_bytes()
    assert b" 413 " in ask(http_process.port, HEAD + b"Content-Length: 1000000000\r\n\r\n{")
    with socket.create_connection(("127.0.0.1", http_process.port), timeout=20) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk, sent = b"100000\r\n" + b"x" * 0x100000 + b"\r\n", 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(1000):
                connection.sendall(chunk)
                sent += len(chunk)
        assert sent < 50_000_000, "it stopped reading"
        assert b" 413 " in read_answer(connection)
    assert http_process.resident_bytes() - before < 20_000_000
    assert http_process.score() == 200


@pytest.mark.integration
def test_slow_senders_are_cut_off_and_hold_nobody_up(http_process):
    heads = [socket.create_connection(("127.0.0.1", http_process.port)) for _ in range(50)]
    bodies = [socket.create_connection(("127.0.0.1", http_process.port)) for _ in range(50)]
    for connection in heads:
        connection.sendall(b"POST /v1/scores HTTP/1.1\r\nHos")
    for connection in bodies:
        connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
    began = time.monotonic()
    assert [http_process.score() for _ in range(20)] == [200] * 20
    assert time.monotonic() - began < 5, "nobody waited for them"
    for connection in (*heads, *bodies):
        connection.settimeout(30)
        while connection.recv(4096):
            pass
        connection.close()
    assert time.monotonic() - began < 25


@pytest.mark.integration
def test_clients_that_hang_up_leave_nothing_behind(http_process):
    body = http_process.example_bytes
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    for _ in range(300):
        connection = socket.create_connection(("127.0.0.1", http_process.port))
        connection.sendall(request)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    deadline = time.monotonic() + 20
    while 'loan_queue_rows{lane="small"} 0.0' not in http_process.metrics():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [http_process.score() for _ in range(50)] == [200] * 50


@pytest.mark.integration
def test_probes_are_quick_while_large_requests_are_scored(http_process):
    stop, statuses = threading.Event(), []

    def load():
        while not stop.is_set():
            statuses.append(http_process.score(rows=1000))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    seconds = []
    for _ in range(60):
        began = time.perf_counter()
        assert b" 200 " in ask(http_process.port, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        seconds.append(time.perf_counter() - began)
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
    # The machine of a test is shared: half of the probes stand for the server, the slowest for others.
    assert sorted(seconds)[30] < 0.05


@pytest.mark.integration
def test_what_is_being_answered_is_finished_when_a_signal_ends_it(http_process):
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(http_process.score(rows=200))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    assert http_process.stop(signal.SIGTERM) == 0
    for thread in threads:
        thread.join()
    assert set(answers) <= {200, None}, "an answer or no connection, never half of one"
