"""Commands on this machine, as `local.Command` and `local.run` run them."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from typing import IO

from .command_output import TOO_LONG, Output
from .provider import Call, RefusedError
from .values import Properties


def run(command: str, state: Properties, call: Call) -> dict[str, str]:
    """Run a command to its end; answer stdout and stderr. Raises RefusedError when it fails."""
    environment = {**os.environ, **state.get("environment", {})}
    if state.get("addPreviousOutputInEnv", True):
        for stream in ("stdout", "stderr"):
            if state.get(stream):
                environment[f"PULUMI_COMMAND_{stream.upper()}"] = state[stream]
    arguments = [*(state.get("interpreter") or ["/bin/sh", "-c"]), command]
    output = Output(state.get("logging"), call.log)
    try:
        process = subprocess.Popen(
            arguments,
            cwd=state.get("dir"),
            env=environment,
            stdin=subprocess.PIPE if state.get("stdin") else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except (OSError, ValueError) as error:
        raise RefusedError(output.failure(str(error), command)) from error
    readers = [
        threading.Thread(target=_drain, args=(process.stdout, "stdout", output), daemon=True),
        threading.Thread(target=_drain, args=(process.stderr, "stderr", output), daemon=True),
    ]
    if process.stdin is not None:
        readers.append(threading.Thread(target=_feed, args=(process.stdin, state["stdin"].encode()), daemon=True))
    for reader in readers:
        reader.start()
    ended = threading.Event()
    threading.Thread(target=_kill_when_cancelled, args=(process, call.cancelled, ended), daemon=True).start()
    # Like Go's: the command has ended when its process has and nobody holds its output open any more.
    for reader in readers:
        reader.join()
    status = process.wait()
    ended.set()
    output.close()
    if status < 0:
        raise RefusedError(output.failure(f"signal: {(signal.strsignal(-status) or str(-status)).lower()}", command))
    if status > 0:
        raise RefusedError(output.failure(f"exit status {status}", command))
    if output.hanging:
        raise RefusedError(TOO_LONG)
    return output.result()


def _drain(pipe: IO[bytes], stream: str, output: Output) -> None:
    while data := os.read(pipe.fileno(), 65536):
        output.write(stream, data)


def _feed(pipe: IO[bytes], data: bytes) -> None:
    try:
        pipe.write(data)
        pipe.close()
    except BrokenPipeError:
        pass  # a command need not read its input


def _kill_when_cancelled(process: subprocess.Popen[bytes], cancelled: threading.Event, ended: threading.Event) -> None:
    while not ended.wait(0.1):
        if cancelled.is_set():
            process.kill()  # the process itself, not what it started: Go's CommandContext
            return
