"""A plain HTTP/1.1 client that hides nothing: no retry, no redirect, every kind of failure by its name."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass

from bench.targets import Target

_LINE_LIMIT = 64 * 1024


class FailureError(Exception):
    """A request without a whole answer.

    ``kind`` is one of ``connect``, ``tls``, ``reset``, ``closed`` (before or within the answer), ``malformed``.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


@dataclass(frozen=True)
class Answer:
    """One whole response."""

    status: int
    body: bytes
    reusable: bool
    """Whether the server keeps the connection open for a next request."""


class Connection:
    """One connection, for one request after another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, target: Target, context: ssl.SSLContext | None) -> Connection:
        """Connect to the target's address; the certificate must be for the target's host."""
        try:
            reader, writer = await asyncio.open_connection(
                target.address,
                target.port,
                ssl=context,
                server_hostname=target.host if context else None,
                limit=_LINE_LIMIT,
            )
        except ssl.SSLError as error:
            raise FailureError("tls", str(error)) from error
        except ConnectionResetError as error:  # while TLS was being agreed on
            raise FailureError("reset", str(error)) from error
        except OSError as error:
            raise FailureError("connect", str(error)) from error
        return cls(reader, writer)

    @property
    def usable(self) -> bool:
        """False once the server's closing of an idle connection has been seen: no request is lost by that."""
        return not (self._reader.at_eof() or self._writer.is_closing())

    async def get(self, target: Target, *, keepalive: bool) -> Answer:
        """Ask once, and read the whole answer. Raises ``FailureError``."""
        request = (
            f"GET {target.path} HTTP/1.1\r\nHost: {target.authority}\r\nUser-Agent: slipway-bench\r\n"
            f"Accept: */*\r\nConnection: {'keep-alive' if keepalive else 'close'}\r\n\r\n"
        )
        try:
            self._writer.write(request.encode())
            await self._writer.drain()
            return await self._answer()
        except ssl.SSLError as error:
            raise FailureError("tls", str(error)) from error
        except (ConnectionResetError, BrokenPipeError, ConnectionAbortedError) as error:
            raise FailureError("reset", str(error)) from error
        except asyncio.IncompleteReadError as error:
            raise FailureError("closed", "the connection ended within the answer") from error
        except (ValueError, asyncio.LimitOverrunError) as error:
            raise FailureError("malformed", str(error)) from error
        except OSError as error:
            raise FailureError("reset", str(error)) from error

    async def _answer(self) -> Answer:
        while True:
            version, status = await self._status_line()
            headers = await self._headers()
            if status >= 200:
                break
        reusable = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        if status in {204, 304}:
            return Answer(status, b"", reusable)
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return Answer(status, await self._chunks(), reusable)
        if "content-length" in headers:
            return Answer(status, await self._reader.readexactly(int(headers["content-length"])), reusable)
        return Answer(status, await self._reader.read(), False)

    async def _status_line(self) -> tuple[str, int]:
        line = await self._reader.readline()
        if not line:
            raise FailureError("closed", "the connection ended before the answer")
        parts = line.decode("latin-1").split(maxsplit=2)
        if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdigit():
            raise FailureError("malformed", f"not a status line: {line[:80]!r}")
        return parts[0], int(parts[1])

    async def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        while (line := await self._reader.readline()) not in {b"\r\n", b"\n"}:
            if not line.endswith(b"\n"):
                raise FailureError("closed", "the connection ended within the headers")
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon:
                raise FailureError("malformed", f"not a header: {line[:80]!r}")
            headers[name.strip().lower()] = value.strip()
        return headers

    async def _chunks(self) -> bytes:
        body = bytearray()
        while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        await self._headers()  # trailers
        return bytes(body)

    async def close(self) -> None:
        """Say good-bye, for a second at most."""
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), 1)

    def abort(self) -> None:
        """Drop the connection at once."""
        self._writer.transport.abort()
