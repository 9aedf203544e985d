"""The application's source as one deterministic archive, named by its content."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

IGNORE_FILE = ".slipwayignore"
DEFAULT_LIMIT_MIB = 200
ALWAYS_IGNORED = (".git/", ".slipway/", ".venv/", "__pycache__/", "*.pyc", ".DS_Store")
_KEEP_DAYS = 30


class ArchiveError(ValueError):
    """The folder cannot be released as it is; the message names the folder or file and what to do."""


@dataclass(frozen=True)
class Archive:
    """An archive in the cache of this machine."""

    path: Path
    content: str
    """sha256 (hex) of the uncompressed archive: the same for the same files, whatever compressed them."""
    files: int
    size: int
    """Bytes of all files together."""


def build_archive(
    folder: Path, limit_mib: int = DEFAULT_LIMIT_MIB, left_out: Sequence[str] = (), parts: Sequence[str] = ()
) -> Archive:
    """Packs `folder`: what git tracks and untracked files it does not ignore; all files where there is no git.

    `.slipwayignore` (gitignore's syntax) takes away more, and so does `left_out` (names of files). `parts`: nothing
    but these files and folders of it, each folder with its own `.slipwayignore`. Same files, same bytes: names sorted,
    no times, no owners.
    Raises `ArchiveError` for a missing or empty folder, a link that leads out of it, and above `limit_mib`.
    """
    listed = {name for part in parts for name in _part(folder, part)} if parts else selected_files(folder)
    names = sorted(name for name in listed if name not in left_out)
    if not names:
        raise _nothing_in(folder)
    size = sum((folder / name).lstat().st_size for name in names)
    if size > limit_mib * 1024 * 1024:
        largest = max(names, key=lambda name: (folder / name).lstat().st_size)
        raise ArchiveError(
            f"path: {os.fspath(folder)!r} with {size / 1024 / 1024:.0f} MiB in {len(names)} files is over the limit of "
            f"{limit_mib} MiB (largest: {largest}). List what the server does not need in {IGNORE_FILE}, "
            "or raise archive_limit"
        )
    tar = _tar(folder, names)
    content = hashlib.sha256(tar).hexdigest()
    path = _cached(content, tar)
    return Archive(path, content, len(names), size)


def selected_files(folder: Path) -> list[str]:
    """The files of `folder` that are released, sorted; raises `ArchiveError` for a missing or empty folder."""
    if not folder.is_dir():
        raise ArchiveError(f"path: {os.fspath(folder)!r} is not a folder; give the folder of your application")
    names = sorted(_selected(folder))
    if not names:
        raise _nothing_in(folder)
    return names


def _nothing_in(folder: Path) -> ArchiveError:
    return ArchiveError(
        f"path: {os.fspath(folder)!r} holds no files to release; "
        f"give the folder of your application, or look at its {IGNORE_FILE} and .gitignore"
    )


def cached_archive(content: str) -> Path:
    """The compressed archive of that content; raises `FileNotFoundError` where this machine did not make it."""
    path = _cache() / f"{content}.tar.gz"
    if not path.is_file():
        raise FileNotFoundError(f"the archive {path} is missing; run `pulumi up` again, which makes it from the source")
    return path


def note_of(name: str) -> Path:
    """Where this machine notes, by that name, what it knows of an archive."""
    return _cache() / f"{name}.json"


def file_digest(path: Path) -> str:
    """sha256 (hex) of the file at `path`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _selected(folder: Path) -> Iterator[str]:
    import pathspec  # only the program that packs a folder needs it

    ignored = pathspec.GitIgnoreSpec.from_lines([*ALWAYS_IGNORED, *_ignore_lines(folder)])
    listed = _git_files(folder)
    for name in _all_files(folder) if listed is None else listed:
        if not ignored.match_file(name) and (folder / name).is_symlink() | (folder / name).is_file():
            yield name


def _part(folder: Path, part: str) -> Iterator[str]:
    path = folder / part
    if path.is_dir():
        yield from (f"{part}/{name}" for name in _selected(path))
    elif path.is_file():
        yield part


def _ignore_lines(folder: Path) -> list[str]:
    file = folder / IGNORE_FILE
    return file.read_text().splitlines() if file.is_file() else []


def _git_files(folder: Path) -> list[str] | None:
    """Paths relative to `folder`; None where git has no say: outside a work tree, or in a folder it ignores as a whole.

    A git that fails where there is a work tree is an error: all files would else be released, ignored ones too.
    """
    if folder.resolve().is_relative_to(checkouts().resolve()):
        return None
    if not any((parent / ".git").exists() for parent in (folder.resolve(), *folder.resolve().parents)):
        return None
    listed = _git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listed.returncode != 0:
        said = listed.stderr.decode(errors="replace").strip()
        raise ArchiveError(f"path: git cannot list the files of {os.fspath(folder)!r}: {said}")
    names = [name.decode() for name in listed.stdout.split(b"\0") if name]
    if not names and _git(folder, "check-ignore", "--quiet", ".").returncode == 0:
        return None
    return names


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = ["git", "-C", os.fspath(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=60)
    except FileNotFoundError:
        raise ArchiveError(f"path: {os.fspath(folder)!r} is in a git work tree, but git is not installed") from None


def _all_files(folder: Path) -> Iterator[str]:
    for base, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in (".git", ".venv", "__pycache__")]
        links = [name for name in folders if (Path(base) / name).is_symlink()]
        for name in [*files, *links]:
            yield (Path(base) / name).relative_to(folder).as_posix()


def _tar(folder: Path, names: list[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            path = folder / name
            entry = tarfile.TarInfo(name)
            if path.is_symlink():
                entry.type = tarfile.SYMTYPE
                entry.linkname = _inner_link(folder, path)
                tar.addfile(entry)
                continue
            data = path.read_bytes()
            entry.size = len(data)
            entry.mode = 0o755 if os.access(path, os.X_OK) else 0o644
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _inner_link(folder: Path, path: Path) -> str:
    target = os.fspath(path.readlink())
    leads_to = Path(os.path.normpath(path.parent / target))
    if Path(target).is_absolute() or not leads_to.is_relative_to(os.path.normpath(folder)):
        raise ArchiveError(
            f"path: {path.relative_to(folder)} in {os.fspath(folder)!r} is a link to {target!r}, which "
            f"the server does not have; copy the file into the folder, or list the link in {IGNORE_FILE}"
        )
    return target


def _cached(content: str, tar: bytes) -> Path:
    """The compressed archive in the user's cache; written once, in one step, so that two runs do no harm."""
    cache = _cache()
    path = cache / f"{content}.tar.gz"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        _forget_old(cache)
        with tempfile.NamedTemporaryFile(dir=cache, delete=False) as file:
            file.write(gzip.compress(tar, compresslevel=6, mtime=0))
        Path(file.name).replace(path)
    return path


def checkouts() -> Path:
    """Where commits are checked out that are to be released: all that is there is theirs, whatever lies above it."""
    return _cache().parent / "checkouts"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway" / "archives"


def _forget_old(cache: Path) -> None:
    limit = time.time() - _KEEP_DAYS * 86400
    for path in cache.iterdir():
        if path.stat().st_mtime < limit:
            path.unlink(missing_ok=True)
