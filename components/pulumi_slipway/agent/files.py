"""Files that are either old or new, never in between; and trees that root takes over from somebody else."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .errors import AgentError

_DISCARDED = "discarded-"


def write_atomic(path: Path, data: bytes, mode: int = 0o644, group: int = 0, durable: bool = True) -> None:
    """Replace `path` by `data` in one rename; after this returned, the new content survives a power cut.

    Not if it is not to be `durable`: then the caller syncs, once for many files.
    """
    temporary = _beside(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchown(file.fileno(), os.geteuid(), group if os.geteuid() == 0 else -1)
            os.fchmod(file.fileno(), mode)
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def write_json(path: Path, document: object, mode: int = 0o644, group: int = 0, durable: bool = True) -> None:
    data = json.dumps(document, ensure_ascii=False, sort_keys=True, indent=1) + "\n"
    write_atomic(path, data.encode(), mode, group, durable)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file that the agent wrote; None when there is none."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise AgentError(f"{path} is damaged ({error}): move it away, or restore it, and try again") from error
    if not isinstance(document, dict):
        raise AgentError(f"{path} is damaged (no object): move it away, or restore it, and try again")
    return document


def replace_link(path: Path, target: Path | str, durable: bool = True) -> None:
    """Let the symbolic link `path` point at `target`, in one rename; if it is not to be `durable`, the caller syncs."""
    if path.is_symlink() and os.readlink(path) == str(target):  # noqa: PTH115 (the text itself, not a path)
        return
    temporary = _beside(path)
    temporary.symlink_to(target)
    temporary.replace(path)
    if durable:
        sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file or a whole tree, whatever is there; what is absent, or goes meanwhile, is fine."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    shutil.rmtree(path, onerror=_unless_gone)


def _unless_gone(_function: object, _path: object, raised: tuple[type[BaseException], BaseException, object]) -> None:
    if not isinstance(raised[1], FileNotFoundError):
        raise raised[1]


def discard(path: Path, bin_folder: Path) -> None:
    """Take a tree away in one rename. Its pieces are removed when nobody waits any more (`sweep`)."""
    if path.exists() or path.is_symlink():
        path.rename(bin_folder / f"{_DISCARDED}{uuid.uuid4().hex}")


def sweep(bin_folders: Iterable[Path]) -> None:
    """Remove what was discarded. To be called without a lock: others may do the same at the same time."""
    for folder in bin_folders:
        for gone in list(folder.glob(f"{_DISCARDED}*")):
            remove(gone)


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_filesystem(path: Path) -> None:
    """Have everything on the file system of `path` on the disk: many files at once, before they are relied on."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if syncfs is None or syncfs(descriptor) != 0:
            os.sync()
    finally:
        os.close(descriptor)


def folder(path: Path, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Path:
    """A folder with exactly this mode and owner, whether it was there or not.

    Safe also where somebody else may rename things at the same time: what was opened is what is changed.
    """
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except NotADirectoryError as error:
        raise AgentError(f"{path} is in the way: a folder is wanted there") from error
    try:
        state = os.fstat(descriptor)
        if os.geteuid() == 0 and (state.st_uid, state.st_gid) != (uid, gid):
            os.fchown(descriptor, uid, gid)
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
    return path


def give_folder_inside(root: Path, path: str, mode: int, uid: int, gid: int) -> None:
    """Give the folder `path` below `root` this mode and owner, where somebody else may put links: none is followed."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in Path(path).parts:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
    except OSError as error:
        raise AgentError(f"{root / path} is no folder ({error.strerror}): move what is there away") from error
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def take_tree(path: Path, former: int, gid: int = 0) -> None:
    """Make a tree root's own for good: what the user `former` built becomes unchangeable for that user.

    It must lie where nobody but root can reach it, and `former` must have no process left. Files get 0644 (0755 if
    they may be run), folders 0755; set-uid bits go. Anything in it that did not belong to `former` (a hard link to
    somebody else's file) or that is no file, folder or link is refused.
    """
    for entry, state in _walk(path):
        kind = stat.S_IFMT(state.st_mode)
        if state.st_uid not in (former, os.geteuid()):
            raise AgentError(f"{entry} belongs to another user (uid {state.st_uid}): not taken into a release")
        if kind == stat.S_IFREG and state.st_nlink > 1 and state.st_uid != former:
            raise AgentError(f"{entry} is a hard link to a file of root's: not taken into a release")
        if kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            raise AgentError(f"{entry} is neither a file, a folder nor a link: not taken into a release")
        os.lchown(entry, os.geteuid(), gid)
        if kind != stat.S_IFLNK:
            runnable = kind == stat.S_IFDIR or state.st_mode & 0o111
            entry.chmod(0o755 if runnable else 0o644)


def give_tree(path: Path, uid: int, gid: int) -> None:
    """Hand a tree to a user."""
    for entry, _ in _walk(path):
        os.lchown(entry, uid, gid)


def link_tree(source: Path, target: Path) -> int:
    """A copy of a tree that shares its files (root's own, never changed): quick, and costs no space."""
    count = 0
    target.mkdir(mode=0o755)
    with os.scandir(source) as entries:
        for entry in entries:
            place = target / entry.name
            if entry.is_symlink():
                place.symlink_to(os.readlink(entry.path))  # noqa: PTH115
            elif entry.is_dir(follow_symlinks=False):
                count += link_tree(Path(entry.path), place)
            else:
                os.link(entry.path, place, follow_symlinks=False)
                count += 1
    shutil.copystat(source, target, follow_symlinks=False)
    return count


def tree_size(path: Path) -> int:
    """Bytes in the files of a tree."""
    return sum(state.st_size for _, state in _walk(path) if stat.S_ISREG(state.st_mode))


def last_lines(path: Path, offset: int = 0, lines: int = 30, limit: int = 6000) -> list[str]:
    """The last lines of a log from `offset` on (from its start, if it was rotated since)."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size < offset:
                offset = 0
            file.seek(max(offset, size - limit))
            data = file.read()
    except OSError:
        return []
    return [line.rstrip() for line in data.decode(errors="replace").splitlines() if line.strip()][-lines:]


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.new")


def _walk(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every entry of a tree, itself first; links are not followed."""
    state = path.lstat()
    yield path, state
    if stat.S_ISDIR(state.st_mode):
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            yield from _walk(path / name)
