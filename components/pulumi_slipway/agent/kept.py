"""Files as they were before a script of ours changed them, on a machine that is to be given back.

The script's `keep` (in `cloud-init/`) fills a folder: `files/<path>` is what was at <path>, and each line of `absent`
names a path where nothing was.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import files, paths
from .run import tool

ABSENT = "absent"
"""In place of a digest: there is nothing."""


@dataclass(frozen=True)
class Kept:
    """What one script has changed."""

    folder: Path

    def names(self) -> list[str]:
        """The paths that were changed, or were about to be."""
        found = {line for line in self._absent() if line}
        place = self.folder / "files"
        for parent, folders, names in os.walk(place):
            links = [name for name in folders if (Path(parent) / name).is_symlink()]
            found |= {"/" + str((Path(parent) / name).relative_to(place)) for name in [*names, *links]}
        return sorted(name for name in found if not name.endswith(".new"))

    def digests(self) -> dict[str, str]:
        """What is at these paths now, told apart by its content."""
        return {name: digest(paths.rooted(name)) for name in self.names()}

    def changed(self, left: Mapping[str, str]) -> list[str]:
        """What somebody changed since we `left` it (path: digest). Files that bear Slipway's name are ours, always."""
        now = self.digests()
        return [
            name
            for name in now
            if now[name] not in (left.get(name, now[name]), digest(self.before(name))) and "slipway" not in name
        ]

    def put_back(self, leaving: Collection[str] = ()) -> None:
        """Have all as it was, but for the paths in `leaving`."""
        for name in self.names():
            place, before = paths.rooted(name), self.before(name)
            if name in leaving or digest(place) == digest(before):
                continue
            if not before.exists() and not before.is_symlink():
                place.unlink(missing_ok=True)
            else:
                copy = place.with_name(f"{place.name}.slipway-old")
                tool(["cp", "--archive", "--no-dereference", str(before), str(copy)])
                copy.replace(place)
                files.sync_folder(place.parent)

    def before(self, name: str) -> Path:
        """Where the former content of `name` is; nothing is there when nothing was."""
        return self.folder / "files" / name.lstrip("/")

    def _absent(self) -> list[str]:
        try:
            return (self.folder / "absent").read_text().splitlines()
        except FileNotFoundError:
            return []


def digest(path: Path) -> str:
    """Content of a file, or the target of a link; `ABSENT` for nothing."""
    if path.is_symlink():
        return f"-> {os.readlink(path)}"  # noqa: PTH115 (its text)
    try:
        return files.sha256_file(path)
    except FileNotFoundError:
        return ABSENT
