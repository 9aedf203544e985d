"""The server's permanent SSH host key, and an end to all others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from . import files, paths, request
from .errors import AgentError
from .journal import machine_journal, recorded
from .lock import MACHINE, held
from .progress import say
from .request import Document
from .run import tool

_KEY = "/etc/ssh/ssh_host_ed25519_key"
_DROP_IN = "/etc/ssh/sshd_config.d/00-slipway-hostkeys.conf"
_PUBLIC = re.compile(r"ssh-ed25519 [A-Za-z0-9+/=]+( [^\n]*)?")


def host_keys(document: Document) -> dict[str, Any]:
    """Install the ed25519 key of the request, if it has one; with `only`, remove every other host key.

    Each step can be run again. sshd is only told of what its own test accepts.
    """
    only = request.flag(document, "only")
    with held(MACHINE, "host keys"), recorded(machine_journal(), "host-keys", only=only) as entry:
        if document.get("install") is not None:
            install = request.mapping(document, "install")
            _install(request.text(install, "private"), request.text(install, "public"))
        key = paths.rooted(_KEY)
        if not key.is_file():
            raise AgentError(f"host-keys: {_KEY} is not there: install it first")
        others = [path for path in _host_keys() if path != key]
        changed = _offer([key] if only else [key, *others])
        removed = []
        if only:
            for path in others:
                path.with_name(path.name + ".pub").unlink(missing_ok=True)
                path.unlink(missing_ok=True)
                removed.append(path.name)
        entry.update(removed=removed)
        entry["skip"] = document.get("install") is None and not changed and not removed
        public = key.with_name(key.name + ".pub").read_text().strip()
    return {"public": " ".join(public.split()[:2]), "removed": removed}


def _install(private: str, public: str) -> None:
    if not _PUBLIC.fullmatch(public.strip()):
        raise AgentError("host-keys: install.public is no ed25519 public key on one line")
    key = paths.rooted(_KEY)
    new = key.with_name("slipway_new_ed25519_key")
    files.write_atomic(new, private.strip().encode() + b"\n", 0o600)
    try:
        # also has it in the form that every sshd reads, and shows that it is the key it is said to be
        derived = tool(["ssh-keygen", "-y", "-P", "", "-f", str(new)]).split()[:2]
        if derived != public.split()[:2]:
            raise AgentError("host-keys: install.private and install.public do not belong together")
        new.replace(key)
    finally:
        new.unlink(missing_ok=True)
    files.write_atomic(key.with_name(key.name + ".pub"), public.strip().encode() + b"\n", 0o644)
    files.sync_folder(key.parent)


def _host_keys() -> list[Path]:
    folder = paths.rooted("/etc/ssh")
    return sorted(path for path in folder.glob("ssh_host_*_key") if path.is_file())


def _offer(keys: list[Path]) -> bool:
    """Have sshd offer these keys and no other; whether that is new to it. Connections that exist stay."""
    drop_in = paths.rooted(_DROP_IN)
    text = "# Written by Slipway's agent.\n" + "".join(f"HostKey {key}\n" for key in keys)
    before = drop_in.read_bytes() if drop_in.is_file() else None
    changed = before != text.encode()
    if changed:
        files.folder(drop_in.parent)
        files.write_atomic(drop_in, text.encode())
    try:
        files.folder(paths.rooted("/run/sshd"))
        tool(["sshd", "-t"])
    except AgentError:
        if before is None:
            drop_in.unlink(missing_ok=True)
        elif changed:
            files.write_atomic(drop_in, before)
        raise
    # also when nothing is new: an earlier run may have ended before this, or the key itself is another one
    if tool(["systemctl", "show", "--property=ActiveState", "--value", "ssh"]) == "active":
        tool(["systemctl", "reload", "ssh"])
    say(f"sshd offers {', '.join(key.name for key in keys)}")
    return changed
