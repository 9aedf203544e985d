"""The agent as one file: a deterministic zip of its modules that the server's Python runs."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from functools import cache
from pathlib import Path

_SOURCE = Path(__file__).resolve().parent / "agent"
# isolated, and without `site`: it needs nothing but Python's own modules
_INTERPRETER = b"#!/usr/bin/python3 -IS\n"
_MAIN = """\
import os
import sys

# see compiled.py
modules = os.path.splitext(os.path.realpath(sys.argv[0]))[0]
try:
    if os.stat(modules).st_uid == 0:
        sys.path.insert(0, modules)
except OSError:
    pass

from slipway_agent.main import main

sys.exit(main())
"""
# The earliest time that a zip can hold: the same for all, so that the same source gives the same bytes.
_TIME = (1980, 1, 1, 0, 0, 0)


@cache
def agent_pyz() -> bytes:
    """The agent: its first line names the interpreter, the rest is a zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        _add(archive, "__main__.py", _MAIN)
        for path in sorted(_SOURCE.glob("*.py")):
            _add(archive, f"slipway_agent/{path.name}", path.read_text(encoding="utf-8"))
    return _INTERPRETER + buffer.getvalue()


@cache
def agent_digest() -> str:
    """SHA-256 of the agent, in hex: its version."""
    return hashlib.sha256(agent_pyz()).hexdigest()


def agent_bundle_document() -> dict[str, str]:
    """The request of the agent's `upgrade` command."""
    return {"sha256": agent_digest(), "pyz": base64.b64encode(agent_pyz()).decode()}


def _add(archive: zipfile.ZipFile, name: str, text: str) -> None:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    entry.create_system = 3
    archive.writestr(entry, text, compresslevel=9)
