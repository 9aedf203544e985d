"""Does a source distribution hold what a compiler is needed for? Most old packages without wheels are plain Python."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator

_COMPILED = (".c", ".cc", ".cpp", ".cxx", ".pyx", ".f", ".f90", ".rs", ".go", ".m")
_LIMIT = 64 * 1024 * 1024
_WITHIN = 20.0
_ASIDE = ("test", "tests", "example", "examples", "doc", "docs", "benchmark", "benchmarks")


def takes_compiler(url: str) -> bool | None:
    """Whether the distribution at `url` does; None where that cannot be seen."""
    import urllib.request  # takes its time, and is seldom needed

    try:
        with urllib.request.urlopen(url, timeout=_WITHIN) as answer:  # noqa: S310 (an index's own URL)
            data = answer.read(_LIMIT + 1)
        if len(data) > _LIMIT:
            return None
        return any(_is_compiled(name) for name in _names(data))
    except (OSError, ValueError, tarfile.TarError, zipfile.BadZipFile):
        return None


def _names(data: bytes) -> Iterator[str]:
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from archive.namelist()
        return
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for entry in archive:
            yield entry.name


def _is_compiled(name: str) -> bool:
    folders = name.lower().split("/")[1:-1]
    return name.lower().endswith(_COMPILED) and not any(folder in _ASIDE for folder in folders)
