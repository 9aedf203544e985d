"""A release, from an uploaded archive to serving visitors: stage → migrate → start → switch → drain."""

from __future__ import annotations

from typing import Any

from . import (
    build,
    catalogue,
    claim,
    database,
    files,
    hints,
    hold,
    lock,
    migrate,
    persistent,
    progress,
    request,
    rollout,
    seal,
    setup,
    slots,
    snapshots,
)
from . import message as told
from .journal import recorded
from .lock import app_lock, held
from .paths import AppPaths
from .progress import say
from .record import Live, write_live
from .request import Document
from .rollout import Clock
from .site import recover
from .stage import stage
from .supervisor import Supervisor
from .wanted import Wanted


def release(document: Document) -> dict[str, Any]:
    """Make a release live. Of one that is live already only the serial and its terms (health rule, drain, keep) are
    noted; a failure leaves what serves untouched."""
    app = AppPaths(request.app_name(document))
    serial = request.integer(document, "serial", 0)
    message = told.read(document)
    for key in ("environment", "build_environment"):
        progress.hide(request.variables(document, key).values())
    wanted = Wanted.read(document)
    with (
        held(app_lock(app.app), f"release {wanted.id} of {app.app}", request.number(document, "lock_wait", lock.WAIT)),
        recorded(app.journal, "release", release=wanted.id, serial=serial, **message) as entry,
        hints.hinted(),
    ):
        claim.require(app, document)
        hold.lift(app)
        recover(app)
        supervisor = Supervisor()
        clock = Clock()
        live = slots.settle(app, supervisor)
        entry["previous"] = live.release if live else None
        damaged = _damage(app, live) if live is not None and live.release == wanted.id else []
        if damaged:
            say(f"{wanted.id} is live, but not as it was made: {', '.join(damaged)}")
            entry["damaged"] = damaged
        elif live is not None and live.release == wanted.id:
            say(f"{wanted.id} is live already")
            _note_terms(app, wanted)
            if live.serial != serial:
                write_live(app, Live(live.slot, live.release, serial, live.config))
            return {**_answer(app, wanted.id, serial, live), "changed": False}
        database.refuse_silent_change(app, live, wanted.database)
        entry["seconds_of"] = clock.parts  # of a failed release, too
        with clock.part("stage"):
            record = stage(app, wanted)
        try:
            with clock.part("migrate"):
                persistent.provide(app, wanted.id, record)
                database.prepare(app, wanted.database)
                setup.meet(app, record, wanted.setup)
                migrate.migrate(app, wanted.id, record, wanted.migration, wanted.release_timeout, entry)
                setup.set_up(app, record, wanted.setup, wanted.release_timeout, entry)
            new = rollout.roll_out(app, supervisor, live, wanted.id, serial, clock)
        finally:
            catalogue.note_message(app, wanted.id, message)
        entry["slot"] = new.slot
        _prune(app, wanted)
        return {**_answer(app, wanted.id, serial, live), "changed": True, "slot": new.slot, "seconds": clock.parts}


def _answer(app: AppPaths, release: str, serial: int, before: Live | None) -> dict[str, Any]:
    return {"app": app.app, "release": release, "serial": serial, "previous": before.release if before else None}


def _damage(app: AppPaths, live: Live) -> list[str]:
    record = files.read_json(app.release(live.release) / "release.json")
    return ["code"] if record is None else seal.damage(app, record)


def _note_terms(app: AppPaths, wanted: Wanted) -> None:
    """Record a changed health rule, drain or number of kept releases, for a later restart or rollback."""
    record = files.read_json(app.release(wanted.id) / "release.json")
    if record is None:  # removed by hand; what runs of it goes on
        return
    amended = catalogue.amend(app, wanted.id, record, wanted.terms())
    if amended != record:
        say(f"the changed terms of {wanted.id} are noted: the next start goes by them")
    if record.get("keep", wanted.keep) != wanted.keep:
        _prune(app, wanted)


def _prune(app: AppPaths, wanted: Wanted) -> None:
    try:
        catalogue.prune(app, wanted.id, wanted.keep)
        database.prune(app)
        snapshots.prune(app)
        build.prune(app, [found.record for found in catalogue.all_of(app)])
    except OSError as error:  # the release stands; the next one tries again
        say(f"warning: old releases could not be removed: {error}")
