"""Making a release, where nobody sees it: source, environment, build steps, static files, variables.

A release appears under its name in one rename, when all of it is on the disk. What an interrupted run left over lies
in the folders `work` and `build`, which the next run empties.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import (
    archive,
    build,
    catalogue,
    environment,
    files,
    interpreters,
    persistent,
    processes,
    room,
    run,
    seal,
    static_files,
    system_packages,
    users,
    variables,
)
from .errors import AgentError
from .paths import AppPaths
from .progress import say
from .record import read_live
from .run import Deadline
from .wanted import WITHOUT_GUNICORN, Wanted


def stage(app: AppPaths, wanted: Wanted) -> dict[str, Any]:
    """Have the release on the disk, whole; its record."""
    builder = users.require(users.build_name(app.app))
    _clean_up(app, builder)
    record = wanted.record(variables.store(app, wanted.variables))
    before = files.read_json(app.release(wanted.id) / "release.json")
    if before is not None:
        if not _same(before, record, wanted):
            files.discard(app.release(wanted.id), app.work)
        elif _is_whole(app, before):
            say(f"{wanted.id} is staged already")
            return catalogue.amend(app, wanted.id, before, wanted.terms())
        else:
            say(f"{wanted.id} is on this server, but not as it was made: it is made anew")
    processes.check(wanted.processes, wanted.web)
    deadline = Deadline(wanted.stage_timeout, "timeouts.stage")
    system_packages.settle()
    system_packages.ensure(wanted.needs.system, deadline)
    place = app.work / wanted.id
    place.mkdir(mode=0o755)
    model = _model(app, record)
    if model is not None:
        say(f"the source is that of {model['release']}: only the variables or commands differ")
        record |= {key: model.get(key) for key in _BUILT}
        files.link_tree(app.release(model["release"]) / "code", place / "code")
        if (app.release(model["release"]) / persistent.SEED).is_dir():
            files.link_tree(app.release(model["release"]) / persistent.SEED, place / persistent.SEED)
    else:
        record |= _build(app, wanted, builder, place, deadline)
        persistent.link(app, place / "code" / wanted.needs.app_folder, place / persistent.SEED, wanted.persistent)
    for part in (place / "code", place / persistent.SEED):
        if part.is_dir():
            os.chown(part, 0, users.require(app.app).gid)
            part.chmod(0o750)
    if wanted.static is not None:
        live = read_live(app)
        served = app.release(live.release) / static_files.FOLDER if live is not None else None
        home = place / "code" / wanted.needs.app_folder
        static_files.expose(home, wanted.static, place / static_files.FOLDER, served)
    record["staged"] = time.time()
    files.write_json(place / "release.json", record, durable=False)
    place.chmod(0o755)
    seal.seal_release(place)
    files.sync_filesystem(app.work)
    _put_in_place(app, wanted.id, place)
    files.sync_folder(app.releases)
    return record


_BUILT = ("venv", "interpreter", "python_path", "built")
"""What building adds to a record."""


def _build(app: AppPaths, wanted: Wanted, builder: users.User, place: Path, deadline: Deadline) -> dict[str, Any]:
    """Unpack the source and build it into `place`/code; what `_BUILT` names."""
    source = archive.take(app, wanted.upload, wanted.archive)
    room.require_for_release(app, source)
    scratch = files.folder(app.build / "scratch", 0o700, builder.uid, builder.gid)
    code = scratch / "code"
    count = archive.unpack(source, code, builder.uid, builder.gid)
    say(f"unpacked {count} files")
    needs = wanted.needs
    folder = code / needs.app_folder
    if not folder.is_dir():
        raise AgentError(f"app_folder: {needs.app_folder!r} is no folder of the source")
    dependencies = environment.find(code, needs)
    plain = environment.build_variables(app, scratch)
    interpreter = interpreters.choose(app, needs, builder, plain, deadline)
    name = environment.key(dependencies, wanted.content or wanted.archive, wanted.with_gunicorn, interpreter)
    venv = seal.usable_environment(app, name)
    if environment.is_complete(app.venvs / venv):
        say(f"the environment {venv} is there already")
    else:
        # from a copy: installing an app may leave files in its source, which are no part of the release
        copy = scratch / "install"
        archive.unpack(source, copy, builder.uid, builder.gid)
        with system_packages.for_a_while(needs.build, deadline):
            environment.make(app, venv, copy, needs, dependencies, wanted.with_gunicorn, interpreter, deadline)
    python_path = environment.python_path(folder, dependencies)
    building = environment.build_variables(app, app.venvs / venv, wanted.build_variables, interpreter)
    if python_path:
        building["PYTHONPATH"] = ":".join(str(folder / name) for name in python_path)
    tools = environment.key(replace(dependencies, local=False), "", wanted.with_gunicorn, interpreter)
    steps = build.Builder(app, builder, building, tools)
    steps.run(wanted.build, folder, variables.fingerprint(wanted.build_variables), deadline)
    _compile(app.venvs / venv, code, building, builder, deadline)
    users.end_processes(builder)
    # out of the build user's reach first, then root's
    code.rename(place / "code")
    files.take_tree(place / "code", builder.uid)
    steps.keep(place / "code" / needs.app_folder)
    files.remove(scratch)
    return {"venv": venv, "interpreter": interpreter.managed, "python_path": python_path, "built": steps.used}


def _compile(venv: Path, code: Path, building: Mapping[str, str], builder: users.User, deadline: Deadline) -> None:
    """Compile the app's modules: the app itself may not write beside its code. Files that cannot be are left."""
    command = [str(venv / "bin/python"), "-m", "compileall", "-q", "-x", r"[/\\](\.git|node_modules)[/\\]", "."]
    limit = Deadline(min(60.0, max(1.0, deadline.left)), "compiling")
    try:
        run.step(command, builder, code, building, limit, "compiling", quiet=True)
    except AgentError:
        say("some of the Python files could not be compiled; they are left as they are")


def _model(app: AppPaths, record: dict[str, Any]) -> dict[str, Any] | None:
    """A release on the disk whose code would come out the same."""
    same = ("build", "build_variables", "app_folder", "needs", "persistent")
    for entry in catalogue.all_of(app):
        found = {"persistent": [], **entry.record}
        if _same_source(found, record) and all(found.get(name) == record[name] for name in same):
            fits = (found["web"]["kind"] in WITHOUT_GUNICORN) == (record["web"]["kind"] in WITHOUT_GUNICORN)
            if fits and _is_whole(app, found):
                return found
    return None


def _is_whole(app: AppPaths, record: dict[str, Any]) -> bool:
    return environment.is_complete(app.venvs / record["venv"]) and not seal.damage(app, record)


def _put_in_place(app: AppPaths, release: str, place: Path) -> None:
    """Also in that of a damaged one, which may be serving; what that one had behind it, this one has."""
    former, damaged = app.release(release), app.work / "damaged"
    if former.exists():
        for mark in ("good.json", "bad", "migrated"):
            if (former / mark).exists():
                shutil.copy2(former / mark, place / mark)
        former.rename(damaged)
    place.rename(former)
    files.remove(damaged)


def _clean_up(app: AppPaths, builder: users.User) -> None:
    users.end_processes(builder)
    for entry in list(app.work.iterdir()):
        files.remove(entry)
    files.remove(app.build / "scratch")
    for entry in app.archives.glob("*.new"):
        entry.unlink()


def _same(before: dict[str, Any], record: dict[str, Any], wanted: Wanted) -> bool:
    passed_over = {"archive", "content", *wanted.terms()}
    rest = all(before.get(name) == value for name, value in record.items() if name not in passed_over)
    return rest and _same_source(before, record)


def _same_source(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """By the source itself where both tell it: two machines may compress the same files to different archives."""
    if one.get("content") and other.get("content"):
        return bool(one["content"] == other["content"])
    return bool(one["archive"] == other["archive"])
