"""Looking at machines, without changing or waiting for anything; imports little, because it is asked often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pulumi_slipway.local.locks import is_held
from pulumi_slipway.local.state import State, read_json


def status(state: State, name: str) -> dict[str, Any]:
    """What is known of the machine `name`, which need not exist."""
    record = state.record(name)
    if record is None:
        return {"exists": False, "running": False, "boots": 0, "labels": {}, "name": name}
    folder = state.folder(name)
    return {
        "exists": True,
        "running": is_held(folder / "keeper"),
        "boots": _boots(folder),
        "labels": read_json(folder / "labels.json") or {},
        "id": record.id,
        "name": name,
        "address": record.address,
        "debian": record.debian,
    }


def _boots(folder: Path) -> int:
    try:
        return len((folder / "boots").read_text().splitlines())
    except FileNotFoundError:
        return 0
