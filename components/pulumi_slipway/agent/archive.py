"""The uploaded source: taken into root's keeping, checked, and unpacked so that nothing can leave its folder."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
import tarfile
from pathlib import Path
from typing import IO

from . import catalogue, files
from .errors import AgentError, MissingUploadError
from .paths import AppPaths

SIZE_LIMIT = 4 * 1024**3
"""Bytes that an archive may unpack to: a bound against a bomb, not a quota."""

FILE_LIMIT = 300_000

_CHUNK = 1024 * 1024


def take(app: AppPaths, upload: Path, sha256: str) -> Path:
    """Our own copy of an uploaded archive, with that digest. A copy that is there already needs no upload."""
    own = app.archives / f"{sha256}.tar.gz"
    if own.is_file():
        return own
    try:
        descriptor = os.open(upload, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise MissingUploadError(f"the archive {upload} is not on this server: has it been uploaded?") from error
    except OSError as error:
        raise AgentError(
            f"the archive {upload} cannot be read ({error.strerror}): is it the file that was uploaded?"
        ) from error
    new = own.with_suffix(".new")
    with os.fdopen(descriptor, "rb") as source, new.open("wb") as target:
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            raise AgentError(f"the archive {upload} is no regular file")
        digest = hashlib.sha256()
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    if digest.hexdigest() != sha256:
        new.unlink()
        # The operator's side takes an upload of the right size for whole, and would never bring it again.
        gone = catalogue.forget_upload(upload)
        raise AgentError(
            f"the archive {upload} is damaged: its SHA-256 is {digest.hexdigest()}, not {sha256}; "
            + ("it is removed, run the same command again" if gone else "remove it, and run the same command again")
        )
    new.chmod(0o600)
    new.replace(own)
    files.sync_folder(app.archives)
    return own


def unpack(archive: Path, target: Path, uid: int, gid: int) -> int:
    """Unpack into the new folder `target`, as `uid`'s files; the number of files.

    Raises `AgentError` for a name or a link that leads out of the folder, and for anything that is no file, folder
    or symbolic link. Times are those of unpacking: nginx derives ETags from time and size, and an archive whose
    times are all the same would have visitors keep old files.
    """
    target.mkdir(mode=0o755)
    os.chown(target, uid, gid)
    links: list[tuple[str, str]] = []
    folders = {""}
    count, size = 0, 0
    try:
        with tarfile.open(archive, "r:gz") as source:
            for member in source:
                name = _inside(member.name)
                count += 1
                size += member.size
                if count > FILE_LIMIT or size > SIZE_LIMIT:
                    raise AgentError("the archive holds too much")
                if member.isdir():
                    _make_folders(target, name, folders, uid, gid)
                    continue
                _make_folders(target, posixpath.dirname(name), folders, uid, gid)
                if member.issym():
                    links.append((name, _target_inside(name, member.linkname)))
                elif member.isreg():
                    content = source.extractfile(member)
                    assert content is not None  # noqa: S101 (it is a regular file)
                    _write(target / name, content, bool(member.mode & 0o111), uid, gid)
                else:
                    raise AgentError(f"the archive holds {member.name!r}, which is no file, folder or link")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise AgentError(f"the archive cannot be unpacked: {error}") from error
    _make_links(target, links, uid, gid)
    return count


def _make_links(target: Path, links: list[tuple[str, str]], uid: int, gid: int) -> None:
    """Last, so that no name in the archive can lead through one of them."""
    for name, to in links:
        try:
            (target / name).symlink_to(to)
        except OSError as error:
            raise AgentError(f"the archive cannot be unpacked: {error}") from error
        os.lchown(target / name, uid, gid)
    root = target.resolve()
    for name, to in links:
        # links that lead over other links: only now it can be told where they end
        if not (target / name).resolve().is_relative_to(root):
            raise AgentError(f"the archive holds a link out of it: {name!r} to {to!r}")


def _inside(name: str) -> str:
    """The member's name, in its shortest form, if it stays inside."""
    short = posixpath.normpath(name)
    if name.startswith("/") or short == ".." or short.startswith("../") or "\0" in name:
        raise AgentError(f"the archive holds a name that leads out of it: {name!r}")
    return "" if short == "." else short


def _target_inside(name: str, to: str) -> str:
    end = posixpath.normpath(posixpath.join(posixpath.dirname(name), to))
    if to.startswith("/") or end == ".." or end.startswith("../"):
        raise AgentError(f"the archive holds a link out of it: {name!r} to {to!r}")
    return to


def _make_folders(target: Path, name: str, known: set[str], uid: int, gid: int) -> None:
    if name in known:
        return
    _make_folders(target, posixpath.dirname(name), known, uid, gid)
    place = target / name
    place.mkdir(mode=0o755)
    os.chown(place, uid, gid)
    known.add(name)


def _write(path: Path, content: IO[bytes], runnable: bool, uid: int, gid: int) -> None:
    mode = 0o755 if runnable else 0o644
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchown(descriptor, uid, gid)
        while chunk := content.read(_CHUNK):
            file.write(chunk)
