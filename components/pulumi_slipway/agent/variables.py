"""The app's variables: one file per set of them, readable for root and the app alone."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping

from . import files, paths, users
from .errors import AgentError
from .paths import AppPaths


def store(app: AppPaths, variables: Mapping[str, str]) -> str:
    """Keep a set of variables; the name of its file."""
    data = json.dumps(dict(variables), ensure_ascii=False, sort_keys=True).encode()
    # Keyed: names of files are no secret, and a plain digest would let anyone check a guess of a short password.
    name = hmac.new(_key(), data, hashlib.sha256).hexdigest()[:32]
    path = app.envs / name
    if not path.is_file() or path.read_bytes() != data:
        files.write_atomic(path, data, 0o640, users.require(app.app).gid)
    return name


def load(app: AppPaths, name: str) -> dict[str, str]:
    variables = files.read_json(app.envs / name)
    if variables is None:
        raise AgentError(f"the variables {name} of {app.app} are missing on this server")
    return variables


def fingerprint(variables: Mapping[str, str]) -> str:
    """Tells whether two sets are the same, and nothing else."""
    data = json.dumps(dict(variables), sort_keys=True).encode()
    return hmac.new(_key(), data, hashlib.sha256).hexdigest()


def _key() -> bytes:
    path = paths.state() / "digest.key"
    if not path.is_file():
        files.folder(paths.state())
        files.write_atomic(path, os.urandom(32), 0o600)
    return path.read_bytes()
