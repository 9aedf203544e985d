"""Between a slot's socket, which nginx knows, and a server of the app's own, which listens on a port of loopback.

So every kind of app has the same one way in, which the health check and the switch of releases stand on. It lives as
long as the app's server, and ends with its exit status.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

_HOST = "127.0.0.1"
_PIECE = 64 * 1024
_PAUSE = 0.05
_BACKLOG = 2048
_LAST_WORDS = 2.0
"""Seconds that what the server said last may take to its visitors."""


def serve(path: Path, port: int, command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run `command`, and hand all connections to the socket `path` on to the `port` of loopback."""
    return asyncio.run(_serve(path, port, command, environment))


async def _serve(path: Path, port: int, command: Sequence[str], environment: Mapping[str, str]) -> int:
    server = await asyncio.create_subprocess_exec(*command, env=dict(environment))
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        loop.add_signal_handler(number, told.set)
    end, stop = asyncio.ensure_future(server.wait()), asyncio.ensure_future(told.wait())
    relays: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = loop.create_task(_relay(reader, writer, port))
        relays.add(relay)
        relay.add_done_callback(relays.discard)

    opening = asyncio.ensure_future(_answers(port))
    await asyncio.wait((opening, end, stop), return_when=asyncio.FIRST_COMPLETED)
    opening.cancel()
    listener = None
    if not end.done() and not stop.done():
        listener = await asyncio.start_unix_server(connected, sock=_listening(path))
        await asyncio.wait((end, stop), return_when=asyncio.FIRST_COMPLETED)
        listener.close()
    if (
        not end.done()
    ):  # its visitors are served to the end: that is the server's own matter, and their connections stay
        server.terminate()
    status = await end
    if relays:
        await asyncio.wait(relays, timeout=_LAST_WORDS)
    stop.cancel()
    return status if status >= 0 else 128 - status


async def _answers(port: int) -> None:
    """Until something listens there: nobody is let in before."""
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(_HOST, port)
            writer.close()
            return
        await asyncio.sleep(_PAUSE)


def _listening(path: Path) -> socket.socket:
    """The socket; who may connect is decided by its folder."""
    path.unlink(missing_ok=True)
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    found.bind(str(path))
    os.chmod(path, 0o666)  # noqa: PTH101, S103
    found.listen(_BACKLOG)
    found.setblocking(False)
    return found


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """One connection, until the server has closed it."""
    with contextlib.suppress(OSError):
        there, back = await asyncio.open_connection(_HOST, port)
        asking = asyncio.ensure_future(_pass_on(reader, back))
        try:
            await _pass_on(there, writer)
        finally:
            asking.cancel()
            await asyncio.wait((asking,))
            back.close()
    writer.close()


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """All that comes, and then its end; a side that went away is one."""
    with contextlib.suppress(OSError):
        while data := await source.read(_PIECE):
            target.write(data)
            await target.drain()
        target.write_eof()
