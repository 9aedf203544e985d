"""What a release consists of, and its id: pure functions."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any


def release_id(parts: Mapping[str, Any], variables: Mapping[str, str], key: str) -> str:
    """The id of the release of `parts` (code, commands, processes) with `variables`.

    Values of variables enter as an HMAC under `key`, a secret of the stack: the id can be shown to anyone without
    giving a guess of a value a way to be checked.
    """
    values = hmac.new(key.encode(), _canonical(variables), hashlib.sha256).hexdigest()
    return "r-" + hashlib.sha256(_canonical({"parts": parts, "variables": values})).hexdigest()[:12]


def summary(app: str, release: str, serial: int, variables: Sequence[str], files: int) -> str:
    """What a preview shows of a release: no value of any variable."""
    return f"{app} {release} (serial {serial}, {files} files, variables: {' '.join(sorted(variables)) or 'none'})"


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
