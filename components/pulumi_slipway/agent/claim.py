"""Whose an app's name is on this server, and all that goes when it is given up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import compiled, files, guard, nginx, paths, persistent, request, timers, undo, units, users, workers
from .errors import AgentError
from .journal import machine_journal, recorded
from .lock import MACHINE, app_lock, held
from .paths import SLOTS, AppPaths
from .processes import LONGEST_STOP
from .progress import say
from .request import Document
from .supervisor import Supervisor

_STOP_WITHIN = 90.0
"""Seconds for the web processes of an app that is removed; supervisor kills them earlier."""


def claim(document: Document) -> dict[str, Any]:
    """Make the app's users and folders, for `owner` alone. `serial` is kept for who observes, `turn` for `remove`."""
    serial = request.integer(document, "serial", 0)
    app, owner = AppPaths(request.app_name(document)), request.text(document, "owner")
    turn = request.optional_text(document, "turn")
    with (
        held(app_lock(app.app), f"claim {app.app}"),
        recorded(machine_journal(), "claim", app=app.app) as entry,
    ):
        found = files.read_json(app.claim)
        if found is not None and found.get("owner") not in (owner, None):
            raise _claimed(app)
        if found is None and app.root.exists() and any(app.root.iterdir()):
            raise AgentError(f"{app.root} exists and is not Slipway's: move it away, or give the app another name")
        for user in (app.app, users.build_name(app.app)):  # before anything of a claim is there that cannot be
            users.check_free(user)
        righted = [*(units.differing() if units.are_installed() else ()), *guard.put_right()]
        entry["skip"] = found is not None and found.get("owner") == owner and not righted
        if righted:
            entry["righted"] = righted
        _install_units()
        files.folder(app.root)
        files.write_json(app.claim, {"app": app.app, "owner": owner, "serial": serial, "turn": turn}, 0o600)
        _furnish(app)
        say(f"{app.app} has its users and folders")
    return {"app": app.app}


def remove(document: Document) -> dict[str, Any]:
    """Stop the app and take away all that is its; with `keep_data`, all but /srv/<app>/shared."""
    app, owner = AppPaths(request.app_name(document)), request.text(document, "owner")
    keep_data = request.flag(document, "keep_data")
    with (
        held(app_lock(app.app), f"remove {app.app}"),
        held(MACHINE, f"remove {app.app}"),
        recorded(machine_journal(), "remove", app=app.app) as entry,
    ):
        found = files.read_json(app.claim)
        if found is None:
            entry["skip"] = True
            say(f"{app.app} is not on this server")
            return {"removed": False}
        if found.get("owner") not in (owner, None):
            raise _claimed(app)
        if request.is_of_another_turn(document, found):
            entry["skip"] = True
            say(f"{app.app} was claimed anew since: it stays")
            return {"removed": False}
        _close_site(app)
        for user in (app.app, users.build_name(app.app)):
            users.remove(user)
        _remove_folders(app, keep_data)
        if not any(claimed()):
            units.uninstall()
        say(f"{app.app} is removed" + (f"; its data stay in {app.shared}" if keep_data else ""))
    return {"removed": True}


def keep_units(_document: Document) -> dict[str, Any]:
    """Have systemd's units as this version of the agent wants them, if there is an app that needs them.

    Asked of a new agent by the old one that it replaces; cheap when there is nothing to do.
    """
    return {"changed": any(claimed()) and _install_units()}


def require(app: AppPaths, document: Document) -> None:
    """The app must be claimed, and by the owner that the request names (if it names one)."""
    found = files.read_json(app.claim)
    if found is None:
        raise AgentError(f"{app.app} is not on this server: run the claim step first")
    owner = request.optional_text(document, "owner")
    if owner is not None and found.get("owner") != owner:
        raise _claimed(app)


def claimed() -> Iterator[AppPaths]:
    """Every app that somebody claims on this server."""
    return (app for app, record in records() if record.get("owner") is not None)


def records() -> Iterator[tuple[AppPaths, dict[str, Any]]]:
    """Every app with the record of its claim; that of nobody's (`owner` is None) stands for data that were kept."""
    for place in sorted(paths.rooted("/srv").glob("*/claim.json")):
        record = files.read_json(place)
        if record is not None and request.APP_NAME.fullmatch(place.parent.name):
            yield AppPaths(place.parent.name), record


def _install_units() -> bool:
    compiled.ensure()
    return units.install(serving=any(app.live_record.exists() for app in claimed()))


def _claimed(app: AppPaths) -> AgentError:
    return AgentError(
        f"{app.app} on this server belongs to another stack: give the app another name, or remove it there first"
    )


def _furnish(app: AppPaths) -> None:
    user = users.ensure(app.app, app.shared, f"app {app.app}")
    builder = users.ensure(users.build_name(app.app), app.build / "home", f"builds of {app.app}")
    for place in (app.releases, app.venvs, app.slots):
        files.folder(place)
    for place in (app.archives, app.work):
        files.folder(place, 0o700)
    files.folder(app.envs, 0o750, 0, user.gid)
    files.folder(app.build)
    for name in ("home", "cache"):
        files.folder(app.build / name, 0o700, builder.uid, builder.gid)
    if app.shared.exists() and app.shared.stat().st_uid != user.uid:  # data kept from an earlier claim
        files.give_tree(app.shared, user.uid, user.gid)
    web = users.require("www-data").gid
    files.folder(app.shared, 0o710, user.uid, web)  # nginx comes through to what it serves, and sees nothing else
    files.folder(app.shared / "data", 0o750, user.uid, user.gid)
    files.folder(app.shared / "media", persistent.WEB_MODE, user.uid, web)
    files.folder(app.logs.parent)
    files.folder(app.logs, 0o750, 0, _group("adm"))


def _group(name: str) -> int:
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return 0


def _close_site(app: AppPaths) -> None:
    """No visitor, no process: nginx first, so that nobody is sent to what is being stopped."""
    undo.put_back(app.site_undo)
    managed = _managed_files(app)
    web = [path for path in managed if path.is_relative_to(paths.rooted("/etc/nginx"))]
    for path in web:
        path.unlink(missing_ok=True)
    nginx.forget_app(app.app)
    if web:
        try:
            nginx.test()
            nginx.reload()
        except AgentError as error:  # somebody else's broken file must not keep an app from being removed
            say(f"warning: nginx goes on with its old configuration: {error}")
    timers.apply(app, None)
    timers.end_jobs(app)
    workers.note(app, None)
    for slot in SLOTS:
        app.start_flag(slot).unlink(missing_ok=True)
    for path in managed:
        path.unlink(missing_ok=True)
    files.remove(paths.rooted("/etc/slipway/apps") / app.app)
    supervisor = Supervisor()
    _, _, removed = supervisor.reread()
    programs = {app.program(slot) for slot in SLOTS} | workers.programs(app, removed)
    supervisor.drop(sorted(programs), LONGEST_STOP + _STOP_WITHIN)
    certificates = paths.tls(app.app)
    for path in [certificates, *certificates.parent.glob(f".{app.app}.*")]:
        files.remove(path)


def _managed_files(app: AppPaths) -> list[Path]:
    """The files of its site that no other app shares, whether or not they are on the disk."""
    record = files.read_json(app.site_record) or {}
    others: set[str] = set()
    for other in claimed():
        if other.app != app.app:
            others |= set((files.read_json(other.site_record) or {}).get("files", {}))
    found = {path for path in record.get("files", {}) if path not in others}
    return [paths.rooted(path) for path in sorted(found)]


def _remove_folders(app: AppPaths, keep_data: bool) -> None:
    files.remove(app.run)
    files.remove(app.logs)
    for log in paths.rooted("/var/log/nginx").glob(f"{app.app}.*.log*"):
        log.unlink(missing_ok=True)
    if keep_data:
        # owned by nobody's number: a later user might get the old one
        files.give_tree(app.shared, 0, 0)
        for entry in app.root.iterdir():
            if entry not in (app.shared, app.claim):
                files.remove(entry)
        files.write_json(app.claim, {"app": app.app, "owner": None}, 0o600)
        return
    # the claim goes last: while it is there, a removal that was interrupted can be run again
    for entry in list(app.root.iterdir()):
        if entry != app.claim:
            files.remove(entry)
    app.claim.unlink()
    os.rmdir(app.root)  # noqa: PTH106
