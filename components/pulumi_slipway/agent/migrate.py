"""The release commands, such as migrations: as the app, in the new release, once, before it gets visitors.

They are skipped when nothing that they depend on has changed since they last ran on that database: the operator's
side says by a digest what that is, where it knows.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from . import app_commands, catalogue, database_look, database_notes, files, request, snapshots, variables
from .journal import Entry
from .paths import AppPaths
from .progress import say
from .request import Document
from .run import Deadline


@dataclass(frozen=True)
class Wanted:
    """How the release commands are to be run."""

    inputs: str | None = None
    """Digest of all files of the source that they depend on; None: they run in each release."""
    force: bool = False
    """They run whatever was noted."""
    snapshot: bool = False
    """The database is dumped before."""

    @classmethod
    def read(cls, document: Document) -> Wanted:
        found = request.mapping(document, "migration", {})
        return cls(
            inputs=request.optional_text(found, "inputs"),
            force=request.flag(found, "force"),
            snapshot=request.flag(found, "snapshot"),
        )


def migrate(app: AppPaths, release: str, record: dict[str, Any], wanted: Wanted, timeout: float, entry: Entry) -> None:
    """Run the release commands of a staged release, if they are to run; the journal's `entry` says what was done."""
    mark = app.release(release) / "migrated"
    if not record["commands"] or mark.exists():
        return
    name = database_notes.identity(record, variables.load(app, record["env"]))
    note = database_notes.of(app, name)
    state = {"inputs": wanted.inputs, "commands": record["commands"], "env": record["env"]}
    known = wanted.inputs is not None and note.get("migrated") == state
    if known and not wanted.force and not database_look.is_known_empty(app, record):
        say("the release commands are skipped: nothing that they depend on has changed since they last ran")
        entry["migration"] = "skipped"
        files.write_json(mark, {"at": time.time(), "skipped": True}, durable=False)
        return
    deadline = Deadline(timeout, "timeouts.release")
    app_commands.wait_for_predecessor(app, deadline)
    if wanted.snapshot:
        entry["snapshot"] = snapshots.take(app, release, record)
        catalogue.amend(app, release, record, {"snapshot": entry["snapshot"]})
    if "migrated" in note:  # what is interrupted now has not been done
        database_notes.write(app, name, {**note, "migrated": None})
    entry["migration"] = "failed"
    for command in record["commands"]:
        say(f"release: {command}")
        app_commands.run_as_app(app, record, command, deadline, f"the release command `{command}`")
    entry["migration"] = "done"
    if wanted.inputs is not None:
        database_notes.write(app, name, {**note, "migrated": state})
    files.write_json(mark, {"at": time.time()})
