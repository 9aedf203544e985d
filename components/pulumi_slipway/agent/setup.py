"""Commands that set up an app's database, such as `flask init-db`: once for each database, before it gets visitors.

Such a command may drop what is there. So it runs by itself only on a database that was empty when this server met it,
until the first set-up is through. On any other, and where one was cut off, it is refused with a number, until somebody
answers: `done NUMBER`, it has been run; or `run NUMBER`.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from typing import Any

from . import app_commands, database_look, database_notes, request, variables
from .database_notes import Note
from .errors import AgentError
from .journal import Entry
from .paths import AppPaths
from .progress import say
from .request import Document
from .run import Deadline

_ANSWER = re.compile(r"(done|run) ([0-9a-f]{8})")


@dataclass(frozen=True)
class Wanted:
    """What is to be run once, and what was answered to a refusal."""

    commands: tuple[str, ...] = ()
    answer: tuple[str, str] | None = None
    """"done" or "run", and the number."""

    @classmethod
    def read(cls, document: Document) -> Wanted:
        answer = request.optional_text(document, "setup_answer")
        match = _ANSWER.fullmatch(answer) if answer else None
        if answer and match is None:
            raise AgentError(f"setup_answer: {answer!r} is no answer: write `done NUMBER` or `run NUMBER`")
        return cls(tuple(request.texts(document, "setup")), (match[1], match[2]) if match else None)


def meet(app: AppPaths, record: dict[str, Any], wanted: Wanted) -> None:
    """Before the release commands of a release with set-up commands: note whether its database is a new one."""
    if not wanted.commands:
        return
    name = _identity(app, record)
    note = database_notes.of(app, name)
    if "new" not in note:
        database_notes.write(app, name, {**note, "new": database_look.is_empty(app, record), "setup": {}})


def set_up(app: AppPaths, record: dict[str, Any], wanted: Wanted, timeout: float, entry: Entry) -> None:
    """Run what was not run on this database yet. Raises `AgentError` for what cannot be known to be harmless."""
    if not wanted.commands:
        return
    deadline = Deadline(timeout, "timeouts.release")
    app_commands.wait_for_predecessor(app, deadline)
    name = _identity(app, record)
    note = database_notes.of(app, name)
    ran = []
    for command in wanted.commands:
        if _runs(name, note, command, wanted.answer):
            ran.append(command)
            _run(app, record, command, name, note, deadline)
        elif note["setup"].get(_key(command), {}).get("state") != "done":
            _note(app, name, note, command, "done")
    if note["new"]:  # the next command that comes along finds visitors' rows
        note["new"] = False
        database_notes.write(app, name, note)
    if ran:
        entry["setup"] = ran


def _runs(name: str, note: Note, command: str, answer: tuple[str, str] | None) -> bool:
    """Whether it is to run now; False: it has been run."""
    known = note["setup"].get(_key(command), {})
    number = _number(name, command, known)
    if answer == ("run", number):
        return True
    if known.get("state") == "done" or answer == ("done", number):
        return False
    if known.get("state") == "failed":
        say(f"`{command}` failed the last time: it is run again")
        return True
    if not known and note["new"]:
        return True
    why = "was begun on this database, and cut off" if known else "was not run here, and the database is not a new one"
    raise AgentError(
        f"setup: `{command}` {why}: to run it may destroy what is there. Set app.setup_answer to 'done {number}' if it "
        f"has been run on the database, or to 'run {number}' to have it run"
    )


def _run(app: AppPaths, record: dict[str, Any], command: str, name: str, note: Note, deadline: Deadline) -> None:
    say(f"setup: {command}")
    _note(app, name, note, command, "started")
    try:
        app_commands.run_as_app(app, record, command, deadline, f"the setup command `{command}`")
    except AgentError:
        _note(app, name, note, command, "failed")
        raise
    _note(app, name, note, command, "done")


def _note(app: AppPaths, name: str, note: Note, command: str, state: str) -> None:
    before = note["setup"].get(_key(command), {})
    begun = before.get("begun", 0) + (state == "started")
    note["setup"][_key(command)] = {"command": command, "state": state, "at": time.time(), "begun": begun}
    database_notes.write(app, name, note)


def _number(name: str, command: str, known: Note) -> str:
    """Another one for each time that it was begun: an answer is good for once."""
    return hashlib.sha256(f"{name}\0{command}\0{known.get('begun', 0)}".encode()).hexdigest()[:8]


def _key(command: str) -> str:
    return hashlib.sha256(command.encode()).hexdigest()[:16]


def _identity(app: AppPaths, record: dict[str, Any]) -> str:
    return database_notes.identity(record, variables.load(app, record["env"]))
