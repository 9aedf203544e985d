"""What is remembered of a machine that was somebody's before Slipway came, so that it can be given back as it was.

`adopted.json` says which stacks use the machine, and what was there before the first of them. A server that was made
for Slipway has none, and all that is asked here is answered with "no".
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import files, paths
from .kept import Kept
from .run import tool

Record = dict[str, Any]

LOCK = "bootstrap"
"""One at a time: who sets a machine up, closes it or gives it back."""

FOLDERS = ("/etc/slipway", "/opt/slipway", "/usr/local/lib/slipway", "/var/lib/slipway", "/var/log/slipway")
"""Folders of Slipway's; they may have been there before (this machine may run Slipway itself)."""

PACKAGES_BEFORE = "packages-before"
"""Made before this program can run, where Python itself had to be installed: the packages of before that."""

_STARTED = ("nginx.service", "supervisor.service")


def place() -> Path:
    return paths.state() / "adopted.json"


def hardening() -> Path:
    """While it exists, sshd and the firewall are closed by us: on trial, or for good."""
    return paths.state() / "hardened.json"


def kept() -> Kept:
    """Files that the set-up changed."""
    return Kept(paths.state() / "before")


def read() -> Record | None:
    """The record; None on a server that is Slipway's own."""
    return files.read_json(place())


def write(record: Record) -> None:
    files.folder(paths.state())
    files.write_json(place(), record, 0o600)


def other_sites() -> bool:
    """Whether others' sites are served here, which are to be left alone."""
    record = read()
    return record is not None and bool(record.get("other_sites"))


def begin() -> Record:
    """A record of the machine as it is now."""
    before = snapshot()
    packages = paths.state() / PACKAGES_BEFORE
    if packages.is_file():
        before["packages"] = _installed(packages.read_text())
    return {
        "at": time.time(),
        "owners": {},
        "other_sites": False,
        "pending": before,
        "before": {
            **before,
            "folders": {name: _entries(name) for name in FOLDERS},
        },
        "installed": [],
        "enabled": [],
        "started": [],
        "opened": [],
        "left": {},
    }


def snapshot() -> dict[str, list[str]]:
    """Packages, and units that are enabled or active."""
    query = tool(["dpkg-query", "--show", "--showformat=${db:Status-Abbrev} ${binary:Package}\n"])
    return {
        "packages": _installed(query),
        "enabled": _units(["list-unit-files", "--state=enabled"]),
        "active": _units(["list-units", "--type=service,socket,timer", "--state=active"]),
    }


@contextmanager
def noting() -> Iterator[None]:
    """What the block installs, enables and starts is written down for the day when the machine is given back."""
    record = read()
    if record is None:
        yield
        return
    before = record.setdefault("pending", snapshot())  # of a run that was killed: the time before that one counts
    write(record)
    try:
        yield
    finally:
        after, record = snapshot(), read() or record
        new = {key: set(after[key]) - set(before[key]) for key in before}
        known = {"packages": "installed", "enabled": "enabled", "active": "started"}
        for key, name in known.items():
            wanted = {unit for unit in new[key] if _counts(key, unit)}
            record[name] = sorted({*record[name], *wanted})
        record.pop("pending", None)
        write(record)


def _counts(key: str, name: str) -> bool:
    """Of what was started only what was there before: the rest is stopped as it is disabled."""
    return name in _STARTED if key == "active" else not name.startswith("slipway-")


def _installed(query: str) -> list[str]:
    """The names of installed packages in what dpkg-query prints."""
    pairs = (line.split() for line in query.splitlines())
    return sorted(pair[1] for pair in pairs if len(pair) == 2 and pair[0] == "ii")


def _units(arguments: list[str]) -> list[str]:
    lines = tool(["systemctl", *arguments, "--no-legend", "--plain", "--no-pager"]).splitlines()
    return sorted(line.split()[0] for line in lines if line.strip())


def _entries(name: str) -> list[str]:
    """What a folder holds that is not Slipway's."""
    try:
        found = os.listdir(paths.rooted(name))  # noqa: PTH208 (names)
    except FileNotFoundError:
        return []
    return sorted(set(found) - {PACKAGES_BEFORE, "journal.jsonl"})
