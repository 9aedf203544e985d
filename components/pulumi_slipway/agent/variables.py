"""The app's variables: one file per set of them, readable for root and the app alone."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from pathlib import Path

from . import files, paths, users
from .errors import AgentError
from .paths import AppPaths


def store(app: AppPaths, variables: Mapping[str, str]) -> str:
    """Keep a set of variables; the name of its file."""
    data = json.dumps(dict(variables), ensure_ascii=False, sort_keys=True).encode()
    name = _name(data)
    path = app.envs / name
    if not path.is_file() or path.read_bytes() != data:
        files.write_atomic(path, data, 0o640, users.require(app.app).gid)
    return name


def is_intact(app: AppPaths, name: str) -> bool:
    """Whether the file of a set still holds what it was made of: its name says so."""
    try:
        return not _place().is_file() or _name((app.envs / name).read_bytes()) == name
    except OSError:
        return False


def load(app: AppPaths, name: str) -> dict[str, str]:
    variables = files.read_json(app.envs / name)
    if variables is None:
        raise AgentError(f"the variables {name} of {app.app} are missing on this server")
    return variables


def fingerprint(variables: Mapping[str, str]) -> str:
    """Tells whether two sets are the same, and nothing else."""
    data = json.dumps(dict(variables), sort_keys=True).encode()
    return hmac.new(_key(), data, hashlib.sha256).hexdigest()


def _name(data: bytes) -> str:
    """Keyed: names of files are no secret, and a plain digest would let anyone check a guess of a short password."""
    return hmac.new(_key(), data, hashlib.sha256).hexdigest()[:32]


def _place() -> Path:
    return paths.state() / "digest.key"


def _key() -> bytes:
    path = _place()
    if not path.is_file():
        files.folder(paths.state())
        files.write_atomic(path, os.urandom(32), 0o600)
    return path.read_bytes()
