"""The static files of a release where nginx may read them: its own, compressed beside them, and for one release more
the hashed ones of the release before, which pages that visitors have open still ask for.
"""

from __future__ import annotations

import contextlib
import filecmp
import gzip
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from . import files, nginx
from .errors import AgentError
from .paths import AppPaths
from .progress import say

FOLDER = "static"
"""Folder of a release, made of hard links."""

COMPRESSED = (".css", ".js", ".mjs", ".json", ".map", ".svg", ".txt", ".xml", ".html", ".webmanifest", ".wasm", ".ttf")
SMALLEST = 1024
"""Bytes of a file that is worth compressing."""

_BROTLI = "/usr/bin/brotli"
_BRIDGED = "bridged.json"
# eight characters or more with a digit or a capital letter among them, as main.4f2a91c03d.css or index-DiwrgTda.js;
# a name that only looks so stays for one release, which does no harm
_DIGEST = re.compile(r"[.-](?=[A-Za-z_-]*[0-9A-Z])[A-Za-z0-9_-]{8,}(?:\.[a-z][a-z0-9]*){1,3}")


def expose(code: Path, folder: str, target: Path, before: Path | None) -> None:
    """The files of `folder` in `target`: the same files, reached by a way that shows nothing else. What is compressed
    in `before`, the static files of an earlier release, is not compressed again."""
    source = code / folder
    if not source.is_dir() or not source.resolve().is_relative_to(code.resolve()):
        raise AgentError(f"static.folder: {folder!r} is no folder of the source (after its build commands)")
    _link_files(source.resolve(), source.resolve(), target)
    _compress(target, before)


def bridge(app: AppPaths, release: str, live: str | None) -> None:
    """Before `release` takes over from `live`: have the hashed files of `live` among those of `release`, and none of
    any release before it."""
    place = app.release(release)
    if not (place / FOLDER).is_dir() or live == release:
        return
    wanted = dict(_hashed_of(app, live)) if live is not None else {}
    for name in _bridged(place):
        if name not in wanted:
            (place / FOLDER / name).unlink(missing_ok=True)
    own = {name for name, _ in _walk(place / FOLDER)} - set(_bridged(place))
    missing = {name: path for name, path in wanted.items() if name not in own}
    if sorted(missing) != _bridged(place):  # first: what is linked is known to be no own file
        files.write_json(place / _BRIDGED, {"names": sorted(missing)})
    for name, path in missing.items():
        target = place / FOLDER / name
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.link(path, target)


def is_hashed(name: str) -> bool:
    """Whether there is a digest in the name of a file, so that another content has another name."""
    return _DIGEST.search(name.rpartition("/")[2]) is not None


def _hashed_of(app: AppPaths, release: str) -> Iterator[tuple[str, Path]]:
    """The hashed files that are a release's own."""
    place = app.release(release)
    bridged = set(_bridged(place))
    for name, path in _walk(place / FOLDER):
        if name not in bridged and is_hashed(name):
            yield name, path


def _bridged(place: Path) -> list[str]:
    return [str(name) for name in (files.read_json(place / _BRIDGED) or {}).get("names", ())]


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            yield str(path.relative_to(folder)), path


def _link_files(root: Path, source: Path, target: Path) -> None:
    """Links in it are followed as long as they stay in it; any other would show what is not static."""
    target.mkdir(mode=0o755)
    for entry in sorted(source.iterdir()):
        real = entry.resolve()
        if not real.is_relative_to(root):
            continue
        if real.is_dir():
            if not entry.is_symlink():
                _link_files(root, entry, target / entry.name)
        elif real.is_file():
            os.link(real, target / entry.name)


def _compress(target: Path, before: Path | None) -> None:
    kinds = [".gz", *([".br"] if brotli_is_there() else [])]
    made = 0
    for name, path in list(_walk(target)):
        if path.suffix not in COMPRESSED or path.stat().st_size < SMALLEST:
            continue
        known = before / name if before is not None and _same(before / name, path) else None
        for kind in kinds:
            beside = path.with_name(path.name + kind)
            if beside.exists():  # the app's own build made it
                continue
            if known is not None and known.with_name(known.name + kind).is_file():
                os.link(known.with_name(known.name + kind), beside)
            elif _written(path, beside, kind):
                made += 1
    if made:
        say(f"compressed {made} static files")


def _same(one: Path, other: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return one.samefile(other) or filecmp.cmp(one, other, shallow=False)
    return False


def _written(path: Path, beside: Path, kind: str) -> bool:
    """Write the compressed file, with the time of the other: nginx shows it as that one's. Not if nothing is won."""
    if kind == ".gz":
        beside.write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
    else:
        command = [_BROTLI, "--quality=9", "--force", f"--output={beside}", str(path)]
        if subprocess.run(command, capture_output=True, timeout=60, check=False).returncode != 0:
            beside.unlink(missing_ok=True)
            return False
    state = path.stat()
    if beside.stat().st_size >= state.st_size:
        beside.unlink()
        return False
    beside.chmod(0o644)
    os.utime(beside, ns=(state.st_atime_ns, state.st_mtime_ns))
    return True


def brotli_is_there() -> bool:
    """Whether nginx can send such files, and there is a program that makes them."""
    return shutil.which(_BROTLI) is not None and nginx.has_brotli()
