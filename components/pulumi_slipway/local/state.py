"""What the driver keeps on disk: one folder, readable by root only.

```
<state>/network.json                 subnet and bridge, while there is a machine
<state>/images/<key>/rootfs          one read-only image a recipe
<state>/machines/<name>/             machine.json, labels.json, upper and work (its own data), console.log, boots
<state>/locks/                       lock files
```
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pulumi_slipway.local.errors import LocalError

DEFAULT_ROOT: Final = Path("/var/lib/slipway/local")

# The host sees the machines' users as UID_BASE + uid, so that a machine's root is nobody on the host. The range lies
# just above what systemd hands out to containers and far above /etc/subuid, and is in use by nothing else.
UID_BASE: Final = 0x70000000
UID_COUNT: Final = 65536


@dataclass(frozen=True)
class Record:
    """What is known of a machine from its creation on (machine.json)."""

    id: str
    name: str
    hostname: str
    debian: int
    image: str
    address: str
    memory_mib: int | None


class State:
    """The state folder and the names on the host that derive from it."""

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))  # noqa: PTH100 - links shall stay as they were written
        if set(str(self.root)) & set(",:\\ \n"):
            raise LocalError(f"the state folder {self.root} has a comma, colon, backslash or space in its name, "
                             "which overlay mounts cannot take: choose another with --state")  # fmt: skip
        self.images = self.root / "images"
        self.machines = self.root / "machines"
        self.locks = self.root / "locks"

    @property
    def tag(self) -> str:
        """A short suffix for names on the host, so that two state folders never meet: `0` for the usual one."""
        if self.root == DEFAULT_ROOT:
            return "0"
        return "-" + hashlib.sha256(str(self.root).encode()).hexdigest()[:6]

    def prepare(self) -> None:
        """Make the folder; private, because an image holds setuid programs and a machine holds secrets."""
        for folder in (self.root, self.images, self.machines, self.locks):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def folder(self, name: str) -> Path:
        """The folder of the machine `name`."""
        return self.machines / name

    def record(self, name: str) -> Record | None:
        """The record of the machine `name`; None when there is no such machine."""
        data = read_json(self.folder(name) / "machine.json")
        return None if data is None else Record(**data)

    def write_record(self, record: Record) -> None:
        """Write the record of a machine: from here on it exists."""
        write_json(self.folder(record.name) / "machine.json", asdict(record))

    def records(self) -> list[Record]:
        """All machines, by name."""
        if not self.machines.is_dir():
            return []
        found = (self.record(folder.name) for folder in sorted(self.machines.iterdir()))
        return [record for record in found if record is not None]


def read_json(path: Path) -> Any:
    """The JSON document in `path`; None when there is no such file."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def write_json(path: Path, data: Any) -> None:
    """Write a JSON document so that a reader sees the old or the new one, also after a crash."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w") as file:
        json.dump(data, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def remove_tree(path: Path) -> None:
    """Remove a folder with all it holds; an absent one is fine."""
    shutil.rmtree(path, ignore_errors=False, onerror=_ignore_absent)


def _ignore_absent(_function: object, _path: str, info: tuple[Any, BaseException, Any]) -> None:
    if not isinstance(info[1], FileNotFoundError):
        raise info[1]
