"""paramiko, without what it takes along and what is not needed here, in programs that do little else: Pulumi starts two
of them in each release, and these were two thirds of its loading.

- `invoke`, where that is there, for a keyword of ssh_config;
- `importlib.metadata`, which reads the version of paramiko, to be told to every server.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

_INSTEAD: dict[str, Any] = {
    "invoke": None,  # importing it fails
    "importlib.metadata": SimpleNamespace(version=lambda _name: "slipway"),
}


def _load() -> ModuleType:
    hidden = {name: instead for name, instead in _INSTEAD.items() if name not in sys.modules}
    sys.modules.update(hidden)
    try:
        import paramiko
    finally:
        for name in hidden:
            del sys.modules[name]
    return paramiko


if "paramiko" not in sys.modules:
    _load()

import paramiko  # noqa: E402

__all__ = ["paramiko"]
