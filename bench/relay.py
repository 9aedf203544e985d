"""A network with a longer way: a TCP relay of this process that delays what goes through it, and counts connections.

It stands in front of a port of a machine on this host, and a rule of the packet filter leads there who connects to
that port from here: so nothing has to know of it. Needs root. Each direction takes half a round trip; how much goes
through is not limited. Connecting takes what it would: the first byte of the server is there after two round trips.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

_COMMENT = "slipway-bench-relay"
_MARK = 0x51707
"""Of packets that are not to be led to the relay, since they are its own."""

_CHUNK = 256 * 1024


@dataclass
class Relay:
    """A relay that runs: see ``relayed``."""

    address: str
    port: int
    round_trip: float
    """Seconds added."""
    connections: int = 0
    """How many were made through it so far."""
    mark: int = 0
    """Put on its own packets, by which the packet filter tells them from others (root may); 0: none."""
    _open: dict[asyncio.StreamWriter, asyncio.Event] = field(default_factory=dict)
    """Connections that are not over, and what tells that they are."""

    async def serve(self, listener: socket.socket, over: asyncio.Event) -> None:
        """Relay until ``over`` is set."""
        server = await asyncio.start_server(self._accept, sock=listener)
        async with server:
            await over.wait()
        for writer, ended in list(self._open.items()):
            writer.transport.abort()
            with contextlib.suppress(TimeoutError):  # of a server that does not care
                await asyncio.wait_for(ended.wait(), 5)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open[writer] = ended = asyncio.Event()
        try:
            await self._relay(reader, writer)
        finally:
            writer.close()
            del self._open[writer]
            ended.set()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        # The caller's SYN needs half a round trip to the server, the answer another half back: nothing of what the
        # caller says leaves before; and its ACK, which lets the server speak, arrives after one and a half.
        connected = loop.time() + self.round_trip
        await asyncio.sleep(1.5 * self.round_trip)
        upstream = socket.socket()
        upstream.setblocking(False)
        if self.mark:
            upstream.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self.mark)
        try:
            await loop.sock_connect(upstream, (self.address, self.port))
        except OSError:
            upstream.close()
            writer.transport.abort()
            return
        theirs, ours = await asyncio.open_connection(sock=upstream)
        for one in (writer, ours):
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        half = self.round_trip / 2
        try:
            await asyncio.gather(_carry(reader, ours, half, connected), _carry(theirs, writer, half, 0.0))
        finally:
            ours.close()


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay: float, earliest: float) -> None:
    """Pass on what comes ``delay`` seconds after it came, however much is on its way."""
    loop = asyncio.get_running_loop()
    on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, data = await on_the_way.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                break
            sink.write(data)
        with contextlib.suppress(OSError, RuntimeError):
            await sink.drain()
            sink.write_eof()

    delivery = asyncio.create_task(deliver())
    try:
        while True:
            try:
                data = await source.read(_CHUNK)
            except OSError:
                data = b""
            on_the_way.put_nowait((max(loop.time(), earliest) + delay, data))
            if not data:
                break
        await delivery
    finally:
        delivery.cancel()


@contextlib.contextmanager
def running(relay: Relay) -> Iterator[int]:
    """While the block runs, the relay listens on loopback, on the port that this gives."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = asyncio.Event()
    with asyncio.Runner() as runner:
        thread = threading.Thread(target=lambda: runner.run(relay.serve(listener, over)), daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            runner.get_loop().call_soon_threadsafe(over.set)
            thread.join(10)


@contextlib.contextmanager
def relayed(address: str, port: int, round_trip: float) -> Iterator[Relay]:
    """While the block runs, whoever connects from this host to that port has ``round_trip`` seconds more."""
    relay = Relay(address, port, round_trip, mark=_MARK)
    with running(relay) as to, _led(address, port, to):
        yield relay


@contextlib.contextmanager
def _led(address: str, port: int, to: int) -> Iterator[None]:
    _forget()
    rule = ["OUTPUT", "-d", address, "-p", "tcp", "--dport", str(port)]
    rule += ["-m", "mark", "!", "--mark", hex(_MARK), "-m", "comment", "--comment", _COMMENT]
    _iptables(["-I", *rule, "-j", "REDIRECT", "--to-ports", str(to)])
    try:
        yield
    finally:
        _forget()


def _forget() -> None:
    """Remove our rules, also those of a run that was killed."""
    listed = _iptables(["-S", "OUTPUT"])
    for line in listed.splitlines():
        if _COMMENT in line:
            _iptables(["-D", *line.split()[1:]])


def _iptables(arguments: list[str]) -> str:
    command = ["iptables", "-w", "-t", "nat", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
