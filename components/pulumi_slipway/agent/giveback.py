"""Giving a machine back as it was before Slipway came: all but packages, and data that would be lost."""

from __future__ import annotations

import contextlib
import pwd
from pathlib import Path
from typing import Any

from . import adopt, adoption, claim, files, firewall, harden, nginx, paths, request, salvage, survey, units, users
from .adoption import Record
from .errors import AgentError
from .journal import machine_journal, recorded
from .lock import MACHINE, held
from .progress import say
from .request import Document
from .run import tool

_PATIENCE = 600.0
_SWAP = "/swapfile.slipway"
_DATABASES = ("postgresql.service", "mariadb.service")


def give_back(document: Document) -> dict[str, Any]:
    """End the stay of the stack `owner`; the last one to leave has the machine as it was. With `unless_settled`, only
    a stay that has not come to its beginning.

    Data of apps go to a folder in the home of `user`, and are named in the answer: they may be all that there is of
    them. Packages stay, stopped and disabled, since something of the owner's may need them by now.
    """
    owner, user = request.text(document, "owner"), request.text(document, "user")
    with held(adoption.LOCK, "giving the machine back", wait=_PATIENCE):
        record = adoption.read()
        if record is None or owner not in record["owners"]:
            say("this stack has nothing on this machine")
            return {"given_back": record is None}
        if request.flag(document, "unless_settled") and record["owners"][owner]["settled"]:
            return {"given_back": False}
        if len(record["owners"]) > 1:
            return _leave(record, owner)
        with recorded(machine_journal(), "give-back"):
            return {"given_back": True, **_give_back(record, user)}


def _leave(record: Record, owner: str) -> dict[str, Any]:
    del record["owners"][owner]
    adoption.write(record)
    adopt.write_keys(record)
    say("another stack uses this machine: it stays as it is, but for this stack's key")
    return {"given_back": False}


def _give_back(record: Record, user: str) -> dict[str, Any]:
    harden.undo()
    for app in list(claim.claimed()):
        owner = (files.read_json(app.claim) or {}).get("owner")
        claim.remove({"app": app.app, "owner": owner, "keep_data": True})
    data = {**salvage.keep_data(user), **salvage.keep_databases(user)}
    units.uninstall()
    nginx_stays, supervisor_stays = bool(survey.sites_of_others()), bool(survey.programs_of_others())
    with held(MACHINE, "giving the machine back"):
        _stop(record, {"nginx.service": nginx_stays, "supervisor.service": supervisor_stays})
        changed = adoption.kept().changed(record["left"])
        adoption.kept().put_back(leaving=changed)
        firewall.close(record["opened"])
        _reload_nginx()
    aside = salvage.keep_originals(changed, user)
    _remove_swap()
    _remove_user()
    _remove_folders(record)
    packages = _packages(record)
    for name, place in data.items():
        say(f"the data of {name} are kept in {place}")
    for name in changed:
        say(f"{name} was changed by somebody since: it stays; what it was before is in {aside}")
    if packages:
        say(f"packages that were installed for Slipway stay, stopped: apt-get purge {' '.join(packages)}")
    say("the machine is as it was")
    return {"kept": data, "changed": changed, "packages": len(packages)}


def _stop(record: Record, staying: dict[str, bool]) -> None:
    """Services that were not on before are off again, unless somebody has come to use them."""
    for unit in record["enabled"]:
        if unit in _DATABASES:  # stopped with our last database, if nobody else has one there
            continue
        if staying.get(unit):
            say(f"{unit} goes on: it serves somebody else by now")
            continue
        with contextlib.suppress(AgentError):  # its package was removed since
            tool(["systemctl", "disable", "--quiet", "--now", unit])
    for unit in record["started"]:
        if unit not in record["enabled"] and not staying.get(unit):
            tool(["systemctl", "stop", unit])


def _reload_nginx() -> None:
    if tool(["systemctl", "show", "--property=ActiveState", "--value", "nginx"]) != "active":
        return
    try:
        nginx.test()
        nginx.reload()
    except AgentError as error:
        say(f"warning: nginx goes on with its old configuration: {error}")


def _remove_swap() -> None:
    """The swap file that was made where memory is small, with its line in fstab."""
    fstab, swap = paths.rooted("/etc/fstab"), paths.rooted(_SWAP)
    lines = fstab.read_text().splitlines(keepends=True) if fstab.is_file() else []
    kept = [line for line in lines if line.split()[:1] != [_SWAP]]
    if kept != lines:
        files.write_atomic(fstab, "".join(kept).encode(), fstab.stat().st_mode & 0o777)
    if swap.exists():
        if _SWAP in tool(["swapon", "--show=NAME", "--noheadings"]):
            tool(["swapoff", _SWAP], timeout=600)
        swap.unlink()
        say("the swap file is gone")


def _remove_user() -> None:
    user = users.own(adopt.USER)
    if user is None:
        return
    home = Path(pwd.getpwnam(user.name).pw_dir)
    users.end_processes(user)
    users.remove(user.name)
    files.remove(home)


def _remove_folders(record: Record) -> None:
    """All that is ours in Slipway's folders, the record last: until it is gone, this can be run again."""
    for name in (*adoption.FOLDERS, "/run/slipway"):
        folder = paths.rooted(name)
        before = {*record["before"]["folders"].get(name, ()), adoption.place().name}
        for entry in list(folder.iterdir()) if folder.is_dir() else ():
            if entry.name not in before:
                files.remove(entry)
    adoption.place().unlink()
    for name in (*adoption.FOLDERS, "/run/slipway"):
        with contextlib.suppress(OSError):  # something of somebody else's is in it
            paths.rooted(name).rmdir()


def _packages(record: Record) -> list[str]:
    here = set(adoption.snapshot()["packages"])
    return [name for name in record["installed"] if name in here]
