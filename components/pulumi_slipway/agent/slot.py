"""`agent slot APP SLOT`: what supervisor runs, as the app's user. It becomes the app's server, or ends.

Kept to a few modules of Python's own: it runs before each start of a web process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .paths import SLOTS, AppPaths, rooted
from .request import check_app_name

NOT_WANTED = 42
"""Exit status of a slot that is not to run: supervisor is told not to restart a program that ends with it."""

_NOT_READY = 43
# supervisor restarts a program that ends within its `startsecs` (1 s) whatever its exit status says
_OUTLIVE_STARTSECS = 1.5

PATH = "/usr/local/bin:/usr/bin:/bin"


def work_folder(app: AppPaths, record: Mapping[str, Any]) -> Path:
    """Where the programs of a release run: the app's folder in its code."""
    return app.release(record["release"]) / "code" / str(record.get("app_folder", ""))


def app_environment(app: AppPaths, record: Mapping[str, Any], venv: Path, variables: dict[str, str]) -> dict[str, str]:
    """The environment of a release's own programs: a small fixed one, its variables over it, then what is ours."""
    environment = {
        "HOME": str(app.shared),
        "LANG": "C.UTF-8",
        "LOGNAME": app.app,
        "PYTHONUNBUFFERED": "1",
        "USER": app.app,
        **variables,
        "PATH": f"{venv}/bin:{variables.get('PATH', PATH)}",
        "SLIPWAY_APP": app.app,
        "SLIPWAY_RELEASE": record["release"],
        "VIRTUAL_ENV": str(venv),
    }
    places = [str(work_folder(app, record) / name) for name in record.get("python_path") or ()]
    if places:
        environment["PYTHONPATH"] = ":".join([*places, *filter(None, [variables.get("PYTHONPATH")])])
    environment.pop("PORT", None)  # gunicorn would listen there, on all addresses, as well
    return environment


def run_slot(arguments: list[str]) -> int:
    """Replaces this process by the app's server, and only returns when that is not to be."""
    if len(arguments) != 2 or arguments[1] not in SLOTS:
        sys.stderr.write("usage: agent slot APP blue|green\n")
        return 2
    app, slot = AppPaths(check_app_name(arguments[0])), arguments[1]
    if not _wanted(app, slot):
        time.sleep(_OUTLIVE_STARTSECS)
        return NOT_WANTED
    place = app.slots / slot
    try:
        record = json.loads((place / "release.json").read_bytes())
        variables = json.loads((place / "env").read_bytes())
        venv = (place / "venv").resolve(strict=True)
        os.chdir((place / "code").resolve(strict=True) / record.get("app_folder", ""))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"slipway: slot {slot} of {app.app} cannot start: {error}\n")
        return _NOT_READY
    environment = app_environment(app, record, venv, variables)
    environment["SLIPWAY_SLOT"] = slot
    environment["SLIPWAY_SOCKET"] = str(app.socket(slot))
    environment["SLIPWAY_KIND"] = record["web"]["kind"]
    os.umask(0o022)
    command = _command(app, slot, venv, record["web"])
    try:
        os.execve(command[0], command, environment)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"slipway: {command[0]} cannot be started: {error}\n")
    return _NOT_READY


def _command(app: AppPaths, slot: str, venv: Path, web: dict[str, str | None]) -> list[str]:
    if web["kind"] == "command":
        return ["/bin/sh", "-c", f"exec {web['command']}"]
    config = rooted("/etc/slipway/apps") / app.app / "gunicorn.conf.py"
    # --bind also here: GUNICORN_CMD_ARGS among the app's variables would win over the file
    bind = f"unix:{app.socket(slot)}"
    return [str(venv / "bin" / "gunicorn"), "--config", str(config), "--bind", bind, str(web["target"])]


def _wanted(app: AppPaths, slot: str) -> bool:
    """Root asked for it, or it is live: then it runs even if the flag was lost."""
    if app.start_flag(slot).exists():
        return True
    try:
        return bool(json.loads(app.live_record.read_bytes())["slot"] == slot)
    except (OSError, ValueError, KeyError, TypeError):
        return False
