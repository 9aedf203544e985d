"""The output of a running command: kept per stream and in the order of arrival, shown line by line as it comes."""

from __future__ import annotations

import json
import threading

from .resources import Log

LINE_LIMIT = 64 * 1024
"""In bytes: the longest line that the real plug-in's logging reads (Go's bufio.Scanner)."""


class Output:
    """Collects the two streams; may be written to by several threads."""

    def __init__(self, logging: str | None, log: Log) -> None:
        logged = {None: ("stdout", "stderr"), "stdoutAndStderr": ("stdout", "stderr"), "none": ()}
        self._logged = logged.get(logging, (logging,))
        self._log = log
        self._streams = {"stdout": bytearray(), "stderr": bytearray()}
        self._mixed = bytearray()
        self._line = bytearray()
        self._lock = threading.Lock()
        self.hanging = False
        """Whether a line was too long for the real plug-in's logging, which would hang for good here."""

    def write(self, stream: str, data: bytes) -> None:
        """Take what arrived on `stdout` or `stderr`."""
        with self._lock:
            self._streams[stream] += data
            self._mixed += data
            if stream not in self._logged:
                return
            *lines, rest = (self._line + data).split(b"\n")
            self._line = bytearray(rest)
        for line in lines:
            self._show(line)
        self.hanging = self.hanging or len(rest) >= LINE_LIMIT

    def close(self) -> None:
        """Show a last line that has no end."""
        if self._line:
            self._show(self._line)
            self._line.clear()

    def _show(self, line: bytes | bytearray) -> None:
        if len(line) >= LINE_LIMIT:
            self.hanging = True
        else:
            self._log(line.removesuffix(b"\r").decode(errors="replace"))

    def result(self) -> dict[str, str]:
        """stdout and stderr, each without one trailing newline."""
        return {
            stream: bytes(data).decode(errors="replace").removesuffix("\n") for stream, data in self._streams.items()
        }

    def failure(self, reason: str, command: str) -> str:
        """The real plug-in's message: it holds the whole command and all its output, secret or not."""
        return f"{reason}: running {json.dumps(command)}:\n{bytes(self._mixed).decode(errors='replace')}"


TOO_LONG = (
    "a line of the command's output is longer than 64 KiB: the real plug-in's logging stops reading there and the "
    "command hangs for good. Print shorter lines, or set `logging` to `none`"
)
