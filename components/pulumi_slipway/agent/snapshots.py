"""A dump of the app's database before its release commands change it: `/srv/<app>/snapshots/<id>/`, root's alone.

SQLite is copied by its own backup, as the app; a server's database is dumped by its own client: one on this machine by
its administrator, one elsewhere with the app's variables, where the client is on this machine.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from . import catalogue, database_look, database_postgresql, files, paths, room, run, users, variables
from .errors import AgentError
from .paths import AppPaths
from .progress import clean, say
from .run import TAIL, Deadline
from .users import User

KEEP = 3
"""The last ones that are kept, besides those of the releases on this server."""

WITHIN = 1800.0
"""Seconds that a dump may take."""

_BACKUP = """
import sqlite3, sys
source, target = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=30), sqlite3.connect(sys.argv[2])
source.backup(target)
target.close()
"""
_LOCAL = ("", "localhost", "127.0.0.1", "::1")
_MYSQL_OPTIONS = ("--single-transaction", "--routines", "--events", "--triggers", "--no-tablespaces")


@dataclass(frozen=True)
class _Dump:
    """A client and how it is run; what it prints is the dump."""

    command: Sequence[str]
    user: User
    file: str
    environment: Mapping[str, str] = field(default_factory=dict)


def take(app: AppPaths, release: str, record: dict[str, Any]) -> str | None:
    """Dump the database of a staged release; the snapshot's id. None: there is nothing in it yet."""
    engine = (record.get("database") or {}).get("engine", "own")
    begun = time.time()
    name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(begun))}-{release}"
    place = files.folder(files.folder(folder(app), 0o711) / name, 0o700)
    try:
        on_disk = engine == "sqlite"
        parts = _copy_files(app, record, place) if on_disk else [_dump(_client(app, engine, record), place)]
    except BaseException:
        files.remove(place)
        raise
    if not parts:
        files.remove(place)
        return None
    size = sum((place / part).stat().st_size for part in parts)
    document = {"at": begun, "release": release, "engine": engine, "files": parts, "bytes": size}
    files.write_json(place / "snapshot.json", document, 0o600)
    files.sync_filesystem(place)
    say(f"the database is dumped: {place} ({-(-size // 1024)} KiB)")
    return name


def prune(app: AppPaths) -> None:
    """Remove all but the last ones and those of releases that are kept; half of one, of an interrupted run, too."""
    if not folder(app).is_dir():
        return
    named = {entry.id for entry in catalogue.all_of(app)}
    whole = sorted(path for path in folder(app).iterdir() if (path / "snapshot.json").is_file())
    kept = {*whole[-KEEP:], *(path for path in whole if path.name.partition("-")[2] in named)}
    for path in list(folder(app).iterdir()):
        if path not in kept:
            files.discard(path, app.work)


def folder(app: AppPaths) -> Path:
    return app.root / "snapshots"


def _copy_files(app: AppPaths, record: dict[str, Any], place: Path) -> list[str]:
    """Every file of SQLite that has something in it, under its path in `shared`."""
    sources = database_look.sqlite_files(app, record)
    room.require(app.root, sum(path.stat().st_size for path in sources) + room.SPARE, "a copy of the database")
    user = users.require(app.app)
    deadline = Deadline(WITHIN, "the snapshot")
    parts = []
    for source in sources:
        # the app makes the copy where it may write; then it is taken out of its reach
        desk = files.folder(folder(app) / "desk", 0o700, user.uid, user.gid)
        files.remove(desk / "copy")
        command = ["/usr/bin/python3", "-I", "-c", _BACKUP, str(source), str(desk / "copy")]
        run.step(command, user, desk, {"PATH": run.SYSTEM_PATH}, deadline, f"the snapshot of {source}")
        part = str(source.relative_to(app.shared))
        (place / part).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (desk / "copy").rename(place / part)
        files.remove(desk)
        _take(place / part, user)
        parts.append(part)
    return parts


def _take(path: Path, former: User) -> None:
    state = path.lstat()
    if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1 or state.st_uid != former.uid:
        raise AgentError(f"{path} is no file of {former.name}'s own: not taken into a snapshot")
    os.chown(path, 0, 0, follow_symlinks=False)
    path.chmod(0o600)


def _client(app: AppPaths, engine: str, record: dict[str, Any]) -> _Dump:
    """How to dump a database on a server. Raises `AgentError` where that is not known, or the client is missing."""
    if engine == "own":
        raise AgentError(
            "snapshot_before_migrate: the database is one that DATABASE_URL of the app names, of which nothing is "
            "known here: set it to false, and dump it yourself"
        )
    found = record["database"]
    given = variables.load(app, record["env"])
    if engine == "postgresql":
        if found["host"] in _LOCAL:
            return _local_postgresql(found["name"])
        tls = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": given["DATABASE_CA"]} if given.get("DATABASE_CA") else {}
        login = {"PGHOST": found["host"], "PGPORT": given["DATABASE_PORT"], "PGUSER": given["DATABASE_USER"]}
        command = [
            _tool(["pg_dump"], "postgresql-client"),
            "--format=custom",
            "--no-owner",
            f"--dbname={found['name']}",
        ]
        environment = {**login, **tls, "PGPASSWORD": given["DATABASE_PASSWORD"]}
        return _Dump(command, users.require(app.app), "database.dump", environment)
    tool = _tool(["mariadb-dump", "mysqldump"], "mariadb-client")
    if found["host"] in _LOCAL:
        command = [tool, "--no-defaults", "--protocol=socket", "--skip-ssl", *_MYSQL_OPTIONS, found["name"]]
        return _Dump(command, User("root", 0, 0), "database.sql.gz")
    verified = "--ssl-verify-server-cert" if "mariadb" in os.path.realpath(tool) else "--ssl-mode=VERIFY_IDENTITY"
    tls_options = [f"--ssl-ca={given['DATABASE_CA']}", verified] if given.get("DATABASE_CA") else []
    login_options = [f"--host={found['host']}", f"--port={given['DATABASE_PORT']}", f"--user={given['DATABASE_USER']}"]
    command = [tool, "--no-defaults", *login_options, *tls_options, *_MYSQL_OPTIONS, found["name"]]
    return _Dump(command, users.require(app.app), "database.sql.gz", {"MYSQL_PWD": given["DATABASE_PASSWORD"]})


def _local_postgresql(name: str) -> _Dump:
    cluster = database_postgresql.cluster_in_use()
    if cluster is None:
        raise AgentError("PostgreSQL is not on this server")
    tool = paths.rooted("/usr/lib/postgresql") / cluster.version / "bin/pg_dump"  # that of the server's own version
    command = [str(tool), "--format=custom", "--host=/var/run/postgresql", f"--port={cluster.port}", f"--dbname={name}"]
    return _Dump(command, users.require("postgres"), "database.dump")


def _tool(names: Sequence[str], package: str) -> str:
    for name in names:
        found = shutil.which(name, path=run.SYSTEM_PATH)
        if found is not None:
            return found
    raise AgentError(
        f"snapshot_before_migrate: {names[0]} is not on this server: install {package} there (packages), or set it to "
        "false and rely on the snapshots of the database's own service"
    )


def _dump(dump: _Dump, place: Path) -> str:
    """Run a client; what it prints goes to a file, compressed if its name says so."""
    room.require(place, room.SPARE, "a dump of the database")
    environment = {"PATH": run.SYSTEM_PATH, "LANG": "C.UTF-8", "HOME": "/nonexistent", **dump.environment}
    with (place / dump.file).open("wb") as target, _compressing(target, dump.file) as out:
        try:
            done = subprocess.run(
                list(dump.command),
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
                timeout=WITHIN,
                check=False,
                user=dump.user.uid,
                group=dump.user.gid,
                extra_groups=[],
            )
        except FileNotFoundError as error:
            raise AgentError(f"{dump.command[0]} is not installed on this server") from error
        except subprocess.TimeoutExpired as error:
            raise AgentError(f"the database was not dumped within {WITHIN:.0f} s") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").splitlines()[-TAIL:]
        raise AgentError("the database could not be dumped", [clean(line) for line in said])
    (place / dump.file).chmod(0o600)
    return dump.file


@contextmanager
def _compressing(target: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    if not name.endswith(".gz"):
        yield target
        return
    with subprocess.Popen(["gzip", "-c"], stdin=subprocess.PIPE, stdout=target) as process:
        assert process.stdin is not None  # noqa: S101 (it is a pipe)
        yield process.stdin
    if process.returncode != 0:
        raise AgentError("the dump of the database could not be compressed")
