"""What would be lost with Slipway's folders on a machine that is given back: kept in the home of its owner.

Data of apps move there as they are. Databases of the machine's own server are dumped there and then dropped.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from . import adoption, claim, database_server, files, paths
from .errors import AgentError
from .run import SYSTEM_PATH, TAIL, tool

_FOLDER = "slipway-kept"
_COPY_WITHIN = 3600.0


def keep_data(user: str) -> dict[str, str]:
    """What apps left in /srv, by app: where it is now. Apps that left nothing are gone afterwards, too."""
    found = {}
    for app, record in claim.records():
        if record.get("owner") is not None:
            continue
        if app.shared.is_dir() and _holds_data(app.shared):
            found[app.app] = str(_move(app.shared, user, app.app))
        files.remove(app.root)
    return found


def keep_databases(user: str) -> dict[str, str]:
    """The databases that Slipway made, by `engine/name`: where their dumps are. They are dropped, each when its dump
    is complete, and a server that nobody else uses stops."""
    found = {}
    for spelled in database_server.claimed():
        engine, _, name = spelled.partition("/")
        if database_server.ENGINES[engine].installed():
            if not database_server.ENGINES[engine].present(name):
                database_server.ENGINES[engine].ensure_server()
            found[spelled] = str(_dump(engine, name, user))
        database_server.drop(engine, name)
    return found


def keep_originals(changed: Sequence[str], user: str) -> str:
    """What files were that somebody changed since, for the owner to look at: the folder with them."""
    if not changed:
        return ""
    folder, entry = _safe(user)
    kept = adoption.kept()
    for name in changed:
        before = kept.before(name)
        if before.is_file():
            target = folder / f"before{name.replace('/', '-')}"
            files.write_atomic(target, before.read_bytes(), 0o600)
            os.chown(target, entry.pw_uid, entry.pw_gid)
    return str(folder)


def _safe(user: str) -> tuple[Path, pwd.struct_passwd]:
    """A folder of the user's own, or of root's where the user has no home, and whose it is."""
    entry = pwd.getpwnam(user)
    if not paths.rooted(entry.pw_dir).is_dir():
        entry = pwd.getpwnam("root")
    return files.folder(paths.rooted(entry.pw_dir) / _FOLDER, 0o700, entry.pw_uid, entry.pw_gid), entry


def _stamp() -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


# ----------------------------------------------------------------------------------------------------- folders


def _holds_data(folder: Path) -> bool:
    """Whether there is any file in it that is more than a database in which nothing was ever made."""
    found = [path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()]
    return any(not _is_empty_database(path) for path in found if path.exists() or path.is_symlink())


def _is_empty_database(path: Path) -> bool:
    """SQLite's file without a table, as a release makes it for an app that may not use it at all."""
    if path.name.endswith(("-wal", "-shm")):
        return _is_empty_database(path.with_name(path.name[:-4]))
    try:
        if path.is_symlink() or path.read_bytes()[:16] != b"SQLite format 3\0":
            return False
        with contextlib.closing(sqlite3.connect(path)) as database:
            tables: int = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            return tables == 0
    except (OSError, sqlite3.Error):
        return False


def _move(source: Path, user: str, name: str) -> Path:
    """The folder that `source` became. On another disk it is copied, and only then removed."""
    folder, entry = _safe(user)
    target = folder / f"{name}-{_stamp()}"
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy = folder / f".{target.name}.copy"
        tool(["cp", "--archive", str(source), str(copy)], timeout=_COPY_WITHIN)
        files.sync_filesystem(folder)
        copy.rename(target)
        files.remove(source)
    files.give_tree(target, entry.pw_uid, entry.pw_gid)
    return target


# --------------------------------------------------------------------------------------------------- databases


def _dump(engine: str, name: str, user: str) -> Path:
    """All of a database in one file; raises `AgentError` when it could not be read whole."""
    folder, entry = _safe(user)
    who, command, suffix = _way_to_dump(engine)
    as_whom = pwd.getpwnam(who)
    target = folder / f"{engine}-{name}-{_stamp()}.{suffix}"
    part = target.with_name(f".{target.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as output:
            done = subprocess.run(
                [*command, name],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                timeout=_COPY_WITHIN,
                check=False,
                cwd="/",
                env={"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"},
                user=as_whom.pw_uid,
                group=as_whom.pw_gid,
                extra_groups=[],
            )
            output.flush()
            os.fsync(output.fileno())
        if done.returncode != 0 or part.stat().st_size == 0:
            said = done.stderr.decode(errors="replace").splitlines()[-TAIL:]
            raise AgentError(f"the database {name} could not be dumped; it stays, and so does all else", said)
        os.chown(part, entry.pw_uid, entry.pw_gid)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    files.sync_folder(folder)
    return target


def _way_to_dump(engine: str) -> tuple[str, list[str], str]:
    """Who dumps, by which command (the name of the database follows), and what the file is called by."""
    if engine == "postgresql":
        port = database_server.ENGINES[engine].describe()["port"]
        where = ["--host=/var/run/postgresql", f"--port={port}"]
        return "postgres", ["pg_dump", *where, "--format=custom", "--no-owner", "--no-acl"], "dump"
    where = ["--protocol=socket", "--socket=/run/mysqld/mysqld.sock", "--skip-ssl"]
    whole = ["--single-transaction", "--routines", "--events", "--triggers"]
    return "root", ["mariadb-dump", "--no-defaults", *where, *whole], "sql"
