"""The database of an app, as its releases are told of it: which one it is, the CA file that it is verified by, and
the file of SQLite. The server of a database on this machine is in `database_server.py`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import catalogue, files, paths, request, run, users
from .errors import AgentError
from .paths import AppPaths
from .progress import say
from .record import Live
from .request import Document
from .run import Deadline

_PEM = "-----BEGIN CERTIFICATE-----"
_SQLITE = b"SQLite format 3\0"
_WAL = 2
_HEADER = 108

# Run as the app: with the first change of the mode, SQLite makes the file. It needs the file for itself alone; one
# that is in use stays as it is. (`synchronous` is no property of the file but of each connection: the app's matter.)
_TO_WAL = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
if connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete":
    connection.execute("PRAGMA journal_mode = WAL")
connection.close()
"""


@dataclass(frozen=True)
class Wanted:
    """The database of a release; without a name when the request does not say."""

    engine: str
    host: str
    name: str
    moved_from: str | None
    certificates: Mapping[str, str]
    """Path → PEM."""

    @classmethod
    def read(cls, app: AppPaths, document: Document) -> Wanted:
        found = request.mapping(document, "database", {})
        return cls(
            engine=request.text(found, "engine", ""),
            host=request.text(found, "host", ""),
            name=request.text(found, "name", ""),
            moved_from=request.optional_text(found, "moved_from"),
            certificates=_certificates(app, request.mapping(document, "certificates", {})),
        )

    def record(self) -> dict[str, Any]:
        """What is remembered of it with the release; no secret."""
        identity = {"engine": self.engine, "host": self.host, "name": self.name} if self.engine else None
        return {"database": identity, "certificates": sorted(Path(path).name for path in self.certificates)}


def ca_folder(app: AppPaths) -> Path:
    return app.root / "ca"


def refuse_silent_change(app: AppPaths, live: Live | None, wanted: Wanted) -> None:
    """Raises `AgentError` when the rows of the live release would be left behind without a word."""
    old = _of_live(app, live)
    if old is None or not wanted.engine or spelled(old) == wanted.moved_from or _is_empty(old):
        return
    new = spelled(wanted.record()["database"])
    if spelled(old) != new:
        raise AgentError(
            f"the rows of the live release are in {spelled(old)}, and {new} would be begun without them: dump them, "
            f"load them into {new}, then set database.moved_from to {spelled(old)!r}"
        )


def prepare(app: AppPaths, wanted: Wanted) -> None:
    """Have on the server what the release needs of its database, before its first program runs."""
    for path, certificate in wanted.certificates.items():
        place = files.folder(ca_folder(app)) / Path(path).name
        if not place.is_file() or place.read_text() != certificate:
            files.write_atomic(place, certificate.encode(), 0o644)
    if wanted.engine == "sqlite":
        _prepare_sqlite(app, paths.rooted(wanted.name))


def prune(app: AppPaths) -> None:
    """Remove the CA files that no release on this server names."""
    folder = ca_folder(app)
    if not folder.is_dir():
        return
    named = {name for entry in catalogue.all_of(app) for name in entry.record.get("certificates", ())}
    for file in list(folder.iterdir()):
        if file.name not in named:
            files.remove(file)


def describe(app: AppPaths, live: Live | None) -> dict[str, Any] | None:
    """The live release's database for who observes, and whether nothing is in it (that can be told of SQLite)."""
    found = _of_live(app, live)
    return None if found is None else {**found, "empty": _is_empty(found)}


def spelled(found: Mapping[str, Any]) -> str:
    """A database in one word, as the operator's side has it, too."""
    if found["engine"] in ("sqlite", "own"):
        return str(found["engine"])
    return f"{found['engine']}:{found['host']}/{found['name']}"


def _of_live(app: AppPaths, live: Live | None) -> dict[str, Any] | None:
    record = files.read_json(app.release(live.release) / "release.json") if live is not None else None
    found = (record or {}).get("database")
    return found if isinstance(found, dict) else None


def _certificates(app: AppPaths, given: Mapping[str, Any]) -> dict[str, str]:
    for path, certificate in given.items():
        if not isinstance(certificate, str) or _PEM not in certificate or "PRIVATE KEY" in certificate:
            raise AgentError(f"request: 'certificates': {path} is to hold certificates in PEM, and nothing else")
        digest = hashlib.sha256(certificate.encode()).hexdigest()[:16]
        if path != f"/srv/{app.app}/ca/{digest}.pem":
            raise AgentError(f"request: 'certificates': {path!r} is not the place of this content")
    return dict(given)


def _is_empty(found: Mapping[str, Any]) -> bool:
    """Whether it is a file of SQLite without a table, so that nothing is lost by leaving it.

    Read by hand: SQLite itself would make files beside it that the app could not write, and the folder is the app's.
    """
    if found["engine"] != "sqlite":
        return False
    return _is_empty_file(paths.rooted(found["name"]))


def holds_tables(path: Path) -> bool:
    """Whether it is a file of SQLite with something in it."""
    return (_header(path) or b"").startswith(_SQLITE) and not _is_empty_file(path)


def _is_empty_file(path: Path) -> bool:
    header = _header(path)
    if header is None:
        return not path.is_symlink() and not path.exists()
    if not header:
        return True
    with contextlib.suppress(FileNotFoundError):
        if path.with_name(f"{path.name}-wal").lstat().st_size > 0:
            return False
    # page 1 from byte 100: kind of the page (13: a leaf), start of free space, number of entries in the schema
    return header.startswith(_SQLITE) and len(header) == _HEADER and header[100] == 13 and header[103:105] == b"\0\0"


def _header(path: Path) -> bytes | None:
    """The first bytes of a file of the app's; None when there is none, or it is something else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(descriptor, _HEADER) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    finally:
        os.close(descriptor)


def _prepare_sqlite(app: AppPaths, path: Path) -> None:
    """Have the file in WAL mode, in which readers and the writer do not wait for each other.

    An app may have no use for it, so whatever goes wrong is only told.
    """
    if path.parent != app.shared / "data":
        return
    header = _header(path)
    if header and (not header.startswith(_SQLITE) or header[18:20] == bytes((_WAL, _WAL))):
        return
    command = ["/usr/bin/python3", "-I", "-c", _TO_WAL, str(path)]
    try:
        run.step(
            command,
            users.require(app.app),
            app.shared,
            {"PATH": run.SYSTEM_PATH},
            Deadline(20, "preparing"),
            "preparing SQLite",
            quiet=True,
        )
    except AgentError as error:
        last = error.tail[-1] if error.tail else error.message
        say(f"{path} stays in the mode that it is in: {last}")
