"""The agent replaces itself: a new file under the name of its digest, then one rename of a link."""

from __future__ import annotations

import base64
import binascii
import hashlib
import subprocess
from pathlib import Path
from typing import Any

from . import claim, compiled, files, paths, request
from .errors import AgentError
from .facts import agent_digest
from .journal import machine_journal, recorded
from .lock import MACHINE, held
from .progress import say
from .request import Document
from .run import tool

_KEEP = 2


def upgrade(document: Document) -> dict[str, Any]:
    """Install the agent in the request, after it has shown that this server's Python can run it."""
    wanted = request.sha256(document)
    try:
        data = base64.b64decode(request.text(document, "pyz"), validate=True)
    except binascii.Error as error:
        raise AgentError("upgrade: 'pyz' is not base64") from error
    if hashlib.sha256(data).hexdigest() != wanted:
        raise AgentError("upgrade: the agent was damaged on its way: its digest is another one")
    with held(MACHINE, "upgrade of the agent"), recorded(machine_journal(), "upgrade", agent=wanted[:12]) as entry:
        home = files.folder(paths.agent_home())
        new = home / f"agent-{wanted[:12]}.pyz"
        link = paths.agent_link()
        if link.is_symlink() and link.resolve() == new.resolve() and new.is_file() and new.read_bytes() == data:
            entry["skip"] = True
            if agent_digest() == wanted:  # else another one is just being replaced, and its successor sees to it
                _refresh_units()
            return {"agent": wanted}
        files.write_atomic(new, data, 0o755)
        _try_out(new, wanted)
        _refresh_units(new)
        files.replace_link(link, new.name)
        _prune(home, new)
        say(f"the agent is {wanted[:12]} now")
    return {"agent": wanted}


def _try_out(new: Path, wanted: str) -> None:
    try:
        result = subprocess.run(
            [str(new), "observe"], input="{}", capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        new.unlink(missing_ok=True)
        raise AgentError(f"upgrade: the new agent cannot be run here: {error}") from error
    if result.returncode != 0 or wanted not in result.stdout:
        new.unlink(missing_ok=True)
        raise AgentError("upgrade: the new agent does not work here", result.stderr.splitlines()[-5:])


def _refresh_units(agent: Path | None = None) -> None:
    """Have systemd's units as `agent` wants them (None: as this one does, which cannot know those of another).

    A failure is no reason to keep the old agent: the next upgrade or claim tries again.
    """
    try:
        if agent is None:
            claim.keep_units({})
        else:
            tool([str(agent), "units"])
    except AgentError as error:
        say(f"warning: systemd's units are not up to date: {error}")


def _prune(home: Path, newest: Path) -> None:
    """The one before stays, so that a person can go back to it; a running one of any age does not need its file
    any more, but for modules it has not read yet: those of a command in progress, hence the two."""
    old = sorted(home.glob("agent-*.pyz"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in [path for path in old if path != newest][_KEEP - 1 :]:
        path.unlink(missing_ok=True)
        files.remove(compiled.folder(path))
