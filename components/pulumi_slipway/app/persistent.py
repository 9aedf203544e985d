"""What an app keeps from release to release, checked in its source: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

_RESERVED = ".slipway"
# Flask looks for this file in its instance folder
_NO_CODE = "config.py"


def check_persistent(files: Iterable[str], paths: Sequence[str], static_folder: str | None) -> tuple[str, ...]:
    """The paths in their shortest form, a folder's with "/" if it was given. Raises `ValueError` for one that leaves
    the app's folder, lies in another, or holds code or static files, which releases bring. `files`: of the source."""
    found: list[str] = []
    code = [PurePosixPath(name) for name in files if name.endswith(".py")]
    for index, text in enumerate(paths):
        path = PurePosixPath(text)
        key = f"persistent[{index}]: {text!r}"
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"{key} must lie within the app's folder")
        if path.parts[0] == _RESERVED:
            raise ValueError(f"{key} is Slipway's own; take another name")
        for other in map(PurePosixPath, found):
            if path.is_relative_to(other) or other.is_relative_to(path):
                raise ValueError(f"{key} and {str(other)!r} lie in one another; name one of them")
        if static_folder is not None and PurePosixPath(static_folder).is_relative_to(path):
            raise ValueError(f"{key} holds the static files, which each release brings itself; name what is uploaded")
        hidden = next((file for file in code if file.is_relative_to(path) and file != path / _NO_CODE), None)
        if hidden is not None:
            raise ValueError(
                f"{key} holds code of the app ({hidden}), which later releases could not change; name a folder of "
                "data alone"
            )
        found.append(f"{path}/" if text.endswith("/") else str(path))
    return tuple(found)
