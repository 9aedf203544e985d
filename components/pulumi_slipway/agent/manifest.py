"""What is in a source archive, for who compares two: its files by digest, and the packages that it locks.

Used on both sides: by the operator's for the archives that it made itself, by the server's for one that was made
elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

_LARGEST = 8 * 1024 * 1024
"""Bytes of a lock file that is read."""
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*([^;#\\]*)")

Packages = dict[str, str]
"""Versions, or what is said in place of one, by name."""


def manifest(archive: Path) -> dict[str, dict[str, str]]:
    """`files`: the beginning of a digest of each file and link by its path; `packages`: versions by name. A lock file
    says all of them; where there is none, requirements say what they do."""
    files: dict[str, str] = {}
    locked: Packages = {}
    asked: Packages = {}
    with tarfile.open(archive, "r:gz") as source:
        for member in source:
            name = str(PurePosixPath(member.name))
            if member.issym():
                files[name] = f"link to {member.linkname}"
            elif member.isreg() and (content := source.extractfile(member)) is not None:
                data = content.read()
                runnable = "+x" if member.mode & 0o111 else ""
                files[name] = hashlib.sha256(data).hexdigest()[:16] + runnable
                if len(data) <= _LARGEST:
                    locked |= _read(_LOCKS, name, data)
                    asked |= _read(_REQUIREMENTS, name, data)
    return {"files": files, "packages": locked or asked}


def _read(readers: Mapping[str, Callable[[str], Iterator[tuple[str, str]]]], name: str, data: bytes) -> Packages:
    """What a file of the source says of packages; nothing of one that is none of these, or broken."""
    for pattern, reader in readers.items():
        if re.fullmatch(pattern, PurePosixPath(name).name):
            try:
                return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in reader(data.decode())}
            except (ValueError, KeyError, TypeError, AttributeError):
                return {}
    return {}


def _toml(text: str) -> Iterator[tuple[str, str]]:
    document: dict[str, Any] = tomllib.loads(text)
    for package in document.get("package") or document.get("packages") or ():
        if not {"editable", "virtual", "directory"} & package.get("source", package).keys():
            yield package["name"], package.get("version", "")


def _pipfile(text: str) -> Iterator[tuple[str, str]]:
    for name, package in json.loads(text)["default"].items():
        yield name, package.get("version", "").removeprefix("==")


def _requirements(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if match := _REQUIREMENT.match(line):
            yield match[1], match[2].strip().removeprefix("==").strip()


_LOCKS = {r"uv\.lock": _toml, r"poetry\.lock": _toml, r"pylock(\..+)?\.toml": _toml, r"Pipfile\.lock": _pipfile}
_REQUIREMENTS = {r"requirements[\w.-]*\.txt": _requirements}
