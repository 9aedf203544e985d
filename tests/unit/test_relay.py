"""The longer way of the benchmarks: later by what was asked for, and otherwise the same."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from bench.relay import Relay, running

ROUND_TRIP = 0.1


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that greets, and sends back all that it gets until nothing more comes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            connection.sendall(b"hello")
            while data := connection.recv(65536):
                connection.sendall(data)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield int(listener.getsockname()[1])
    listener.close()


def test_each_round_trip_takes_longer_and_connections_are_counted(echo: int) -> None:
    relay = Relay("127.0.0.1", echo, ROUND_TRIP)
    with running(relay) as port:
        for number in (1, 2):
            began = time.monotonic()
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                assert connection.recv(5) == b"hello"
                assert 2 * ROUND_TRIP <= time.monotonic() - began < 2 * ROUND_TRIP + 1
                began = time.monotonic()
                connection.sendall(b"x")
                assert connection.recv(1) == b"x"
                assert ROUND_TRIP <= time.monotonic() - began < ROUND_TRIP + 1
            assert relay.connections == number


def test_much_goes_through_at_once_and_the_end_of_it_is_passed_on(echo: int) -> None:
    sent = bytes(range(256)) * 40_000
    with running(Relay("127.0.0.1", echo, ROUND_TRIP)) as port:
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            began = time.monotonic()

            def send() -> None:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)

            threading.Thread(target=send, daemon=True).start()
            got = bytearray()
            while data := connection.recv(1 << 20):
                got += data
        assert got == b"hello" + sent
        assert time.monotonic() - began < 8, "its chunks were sent one after another"


def test_a_server_that_is_not_there_is_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    relay = Relay("127.0.0.1", closed, 0.0)
    with running(relay) as port, socket.create_connection(("127.0.0.1", port), 10) as connection:
        try:
            said = connection.recv(1)
        except ConnectionResetError:
            said = b""
        assert said == b""
