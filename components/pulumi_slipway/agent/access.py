"""Who reaches a server of Slipway's own, and which people log in there: what may change over its life.

It was made with the same (`cloud-init/`); what is different since is pushed, and nothing else is touched.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from pathlib import Path
from typing import Any

from . import adoption, files, firewall, paths, request
from .errors import AgentError
from .journal import machine_journal, recorded
from .lock import held
from .request import Document
from .run import tool

ADMIN = "admin"
"""Who people log in as; may sudo everything."""

_SUDOERS = f"/etc/sudoers.d/slipway-{ADMIN}"
_MAY = f"{ADMIN} ALL=(ALL:ALL) NOPASSWD: ALL\n"


def access(document: Document) -> dict[str, Any]:
    """Have ufw let in what `rules` say, and the holders of `admin_keys` log in: none, then nobody does.

    Rules that somebody else has made stay, and so does whatever lets in where sshd listens.
    """
    rules, keys = firewall.read_rules(document), request.texts(document, "admin_keys")
    if any(not key.strip() or "\n" in key for key in keys):
        raise AgentError("request: 'admin_keys' must be public keys, one a text")
    if adoption.read() is not None:
        raise AgentError("this machine is somebody's own: who reaches it is said when it is adopted")
    with held(adoption.LOCK, "access to the server"), recorded(machine_journal(), "access") as entry:
        before = opened()
        ours = firewall.become(rules, before, _note)
        if ours != before:
            _note(ours)
        let_in = _let_in(keys) if keys else _let_nobody_in()
        entry |= {"firewall": [" ".join(rule) for rule in rules], "admin_keys": len(keys)}
        entry["skip"] = ours == before and not let_in
    return {"opened": len(ours)}


def opened() -> list[firewall.Rule]:
    """The rules of ufw that are ours so far; at first those that the server was made with."""
    known = files.read_json(_record())
    if known is not None:
        return list(known["opened"])
    script = paths.state() / "bootstrap.sh"
    return firewall.of_script(script.read_text()) if script.is_file() else []


def _note(opened: list[firewall.Rule]) -> None:
    files.write_json(_record(), {"opened": opened}, 0o600)


def _record() -> Path:
    return paths.state() / "access.json"


def _let_in(keys: list[str]) -> bool:
    """Whether anything had to be done."""
    try:
        entry = pwd.getpwnam(ADMIN)
    except KeyError:
        tool(["useradd", "--create-home", "--shell", "/bin/bash", "--comment", "Administrators of this server", ADMIN])
        entry = pwd.getpwnam(ADMIN)
    place, text = _keys(entry), "".join(f"{key.strip()}\n" for key in keys)
    sudoers = paths.rooted(_SUDOERS)
    may = sudoers.is_file() and sudoers.read_text() == _MAY
    if may and place.is_file() and place.stat().st_uid == entry.pw_uid and place.read_text() == text:
        return False
    files.folder(place.parent, 0o700, entry.pw_uid, entry.pw_gid)
    files.write_atomic(place, text.encode(), 0o600)
    os.chown(place, entry.pw_uid, entry.pw_gid)
    files.write_atomic(sudoers, _MAY.encode(), 0o440)
    return True


def _let_nobody_in() -> bool:
    """The user stays, with all that people have in its home. One that Slipway gave no rights to is not ours."""
    sudoers = paths.rooted(_SUDOERS)
    if not sudoers.exists():
        return False
    with contextlib.suppress(KeyError):
        _keys(pwd.getpwnam(ADMIN)).unlink(missing_ok=True)
    sudoers.unlink()
    return True


def _keys(entry: pwd.struct_passwd) -> Path:
    return Path(entry.pw_dir) / ".ssh" / "authorized_keys"
