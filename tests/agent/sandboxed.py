"""A sandbox as the tests use it: see `sandbox.py`."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pulumi_slipway.observe import Observation, _of_app
from tests.agent.sandbox import APP, ROOT
from tests.agent.server import local_agent

LIVE = ("release", "rollback", "found")
"""Entries of the journal that tell, when they went well, what is live."""

_CHECKOUT = Path(__file__).parents[2]


class Sandbox:
    """A server in a folder, which is as new after each `reset`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def reset(self) -> None:
        assert self.ask("reset")["ok"]

    def observe(self) -> Observation:
        """What an `up` would learn."""
        return _of_app(self.ask("observe"), APP)

    def live_record(self) -> str | None:
        """The release that the record of what is live names."""
        text = self._text(f"srv/{APP}/live.json")
        return None if text is None else str(json.loads(text)["release"])

    def live_by_the_journal(self) -> str:
        """The release that went live last according to the journal; empty: none did."""
        lines = (self._text(f"srv/{APP}/journal.jsonl") or "").splitlines()
        entries = [json.loads(line) for line in lines]
        live = [entry["release"] for entry in entries if entry["ok"] and entry["action"] in LIVE]
        return live[-1] if live else ""

    def rows(self) -> list[str]:
        """What the app's release commands have written, one row each."""
        return (self._text(f"srv/{APP}/shared/data/rows") or "").split()

    def visit(self, patiently: bool) -> dict[str, Any]:
        """What a visitor is told; one who is patient tries for some seconds, as after a boot."""
        deadline = time.monotonic() + 5
        while True:
            told = self.ask("visit")
            if told["status"] is not None or not patiently or time.monotonic() > deadline:
                return told
            time.sleep(0.01)

    def _text(self, path: str) -> str | None:
        text: str | None = self.ask("read", path=path)["text"]
        return text

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the sandbox ended"
        found: dict[str, Any] = json.loads(answer)
        return found


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """Its processes, its /proc and its disk are its own, and end with it."""
    with local_agent() as bundle:
        program = shlex.join([sys.executable, "-m", "tests.agent.sandbox", str(bundle)])
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        command = [*alone, "sh", "-c", f"mount -t tmpfs -o size=4g,mode=755 sandbox {ROOT} && exec {program}"]
        process = subprocess.Popen(
            command if os.geteuid() == 0 else ["sudo", "-n", *command],
            cwd=_CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Sandbox(process)
        finally:
            process.communicate(timeout=20)
