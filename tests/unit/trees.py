"""Sources of applications, written for a test: what is detected in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pulumi_slipway.app.detection import Recipe, Said, Tree, detect


def write(folder: Path, files: Mapping[str, str]) -> Tree:
    """A tree of these files (name → text)."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Tree(folder, files)


def detected(folder: Path, files: Mapping[str, str], **said: Any) -> Recipe:
    return detect(write(folder, files), Said(**said))
