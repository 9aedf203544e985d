"""What the operator's side asks of two machines when data go from one to the other; see `hold.py` and `transfer.py`.

On the new one: `expect` for each app, `receive`, and, when all have come, `place`. Data that are its own are never
overwritten: only what came from that very machine and never served here, or what was once carried there from here.
"""

from __future__ import annotations

import os
import time
from typing import Any

from . import claim, database_server, files, request, staging, tree, users
from .errors import AgentError
from .journal import machine_journal, recorded
from .lock import app_lock, held
from .paths import AppPaths
from .progress import say
from .request import Document
from .staging import Staging
from .transfer import IDLE
from .tree import Extent


def inventory(_document: Document) -> dict[str, Any]:
    """Every app with the extent of its data, whether it ever served here, whether its data came from another machine
    or were left for one; and the databases that this machine runs, whose rows are not in `shared`."""
    apps = {}
    for app, record in claim.records():
        count, size = tree.measure(app.shared)
        note, arrived = files.read_json(app.hold), _arrived(app)
        apps[app.app] = {
            "owner": record.get("owner"),
            "files": count,
            "bytes": size,
            "served": app.live_record.exists(),
            "left_to": note["to"]["id"] if note is not None and note["left"] else None,
            "arrived_from": arrived[0] if arrived is not None else None,
        }
    return {"apps": apps, "databases": database_server.claimed()}


def expect(document: Document) -> dict[str, Any]:
    """Make ready for the data of an app, or (with `only_check`) say why that cannot be; how far they have come.

    `first`: this run takes over from any other. An answer "placed" says that just these data are the app's here.
    """
    app, source = AppPaths(request.app_name(document)), _source(document)
    owner, only_check = request.optional_text(document, "owner"), request.flag(document, "only_check")
    _check_admissible(app, source["id"], owner)
    if owner is not None:
        users.check_free(app.app)
    size, entries = request.integer(document, "bytes"), request.integer(document, "entries")
    if only_check:
        _check_room(app, size, entries)
        return {"state": "possible"}
    announced = Extent(request.sha256(document, "manifest"), entries, size)
    token, place = request.text(document, "token"), Staging(app.app)
    if request.flag(document, "first"):
        place.take_over(token)
    with held(place.lock, f"transfer of {app.app}'s data", wait=IDLE + 30):
        place.require(token)
        if not place.holds(source["id"], announced.manifest) and _is_placed(app, source["id"], announced.manifest):
            return {"state": "placed"}
        place.begin(source, announced)
        progress = place.progress()
        _check_room(app, size - progress.bytes, entries - progress.index)
        if owner is not None:
            users.ensure(app.app, app.shared, f"app {app.app}")
        state = "complete" if place.complete else "partial"
        return {"state": state, "index": progress.index, "offset": progress.offset, "bytes": progress.bytes}


def place(document: Document) -> dict[str, Any]:
    """Make the data that came the app's own. Whoever claims the app next has them."""
    app, token, source = AppPaths(request.app_name(document)), request.text(document, "token"), _source(document)
    owner, manifest = request.optional_text(document, "owner"), request.sha256(document, "manifest")
    come = Staging(app.app)
    with (
        held(app_lock(app.app), f"data of {app.app}"),
        held(come.lock, f"data of {app.app}"),
        recorded(machine_journal(), "place", app=app.app, source=source["name"]) as entry,
    ):
        come.require(token)
        _check_admissible(app, source["id"], owner)
        if not come.holds(source["id"], manifest):
            if not _is_placed(app, source["id"], manifest):
                raise AgentError(f"the data of {app.app} have not come")
            entry["skip"] = True
            come.remove()
            return {"app": app.app}
        if not come.complete:
            raise AgentError(f"the data of {app.app} have not come as a whole")
        files.folder(app.root)
        if files.read_json(app.claim) is None:
            files.write_json(app.claim, {"app": app.app, "owner": None}, 0o600)
        # before the data are moved: what is found in their place may then be replaced again
        files.write_json(app.arrived, {"from": source, "manifest": manifest, "at": time.time()})
        come.put_in_place(app.shared)
        come.remove()
        say(f"the data of {app.app} are in {app.shared}")
    return {"app": app.app}


def forget(_document: Document) -> dict[str, Any]:
    """Remove what came of data that are not wanted any more; those in their place stay."""
    gone = []
    for come in staging.all_staged():
        come.take_over("nobody")
        with held(come.lock, f"end of the transfer of {come.app}'s data"):
            come.remove()
            gone.append(come.app)
    return {"forgotten": gone}


def _check_admissible(app: AppPaths, source: str, owner: str | None) -> None:
    """Nothing of this machine's own is overwritten."""
    record = files.read_json(app.claim)
    if record is None:
        if app.root.exists() and any(app.root.iterdir()):
            raise AgentError(f"{app.root} exists here and is not Slipway's: move it away")
        return
    if record.get("owner") not in (None, owner):
        raise AgentError(f"{app.app} belongs to another stack here")
    if tree.measure(app.shared)[0] == 0:
        return
    if _left_to(app, source):
        return  # they were carried there, and what is here is what they were then
    arrived = _arrived(app)
    if arrived is not None and arrived[0] == source and not app.live_record.exists():
        return  # they came from there, and nobody has used them
    raise AgentError(
        f"{app.app} has data of its own here, in {app.shared}: nothing is overwritten. Move them away if they are not "
        "wanted, or set carry_data to false if these are the ones to go on with"
    )


def _check_room(app: AppPaths, size: int, entries: int) -> None:
    missing = staging.room(size, entries)
    if missing is not None:
        raise AgentError(f"there is no room for the data of {app.app}: {missing}. Take a larger disk")


def _is_placed(app: AppPaths, source: str, manifest: str) -> bool:
    """Whether just these data of that machine are in place, and nobody has touched them since."""
    untouched = _left_to(app, source) or (files.read_json(app.claim) or {}).get("owner") is None
    return untouched and _arrived(app) == (source, manifest)


def _left_to(app: AppPaths, machine: str) -> bool:
    note = files.read_json(app.hold)
    return note is not None and bool(note["left"]) and note["to"]["id"] == machine


def _arrived(app: AppPaths) -> tuple[str, str] | None:
    """From which machine the data of an app came, and their manifest."""
    record = files.read_json(app.arrived)
    if record is None or not os.path.lexists(app.shared):
        return None
    return record["from"]["id"], record["manifest"]


def _source(document: Document) -> dict[str, str]:
    source = request.mapping(document, "from")
    return {key: request.text(source, key) for key in ("id", "name")}
