"""`agent slot APP SLOT [PROCESS]` and `agent job APP TIMER`: what supervisor and systemd run. Each becomes a program of
the app, as the app's user, or ends.

Kept to a few modules of Python's own: it runs before each start of a process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .paths import SLOTS, AppPaths, agent_link, rooted
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


def shell(command: str) -> list[str]:
    """A command of the app's own. bash becomes the last program in it, so that signals reach that one."""
    return ["/bin/bash", "-c", command]


def run_slot(arguments: list[str]) -> int:
    """Replaces this process by a program of a slot, its web server or another, and only returns when that is not to be.

    supervisor starts it as root, who alone can limit the memory of a process.
    """
    if len(arguments) not in (2, 3) or arguments[1] not in SLOTS:
        sys.stderr.write("usage: agent slot APP blue|green [PROCESS]\n")
        return 2
    app, slot, process = AppPaths(check_app_name(arguments[0])), arguments[1], [*arguments, "web"][2]
    is_root = os.geteuid() == 0
    if is_root:
        from . import limit

        limit.end_leftovers(app, slot, process)
    definition = _definition(app, slot, process) if _wanted(app, slot, process) else None
    if definition is None:
        time.sleep(_OUTLIVE_STARTSECS)
        return NOT_WANTED
    if is_root and definition.get("memory"):
        again = [str(agent_link()), "slot", *arguments]
        return _become(limit.inside(app, slot, process, definition["memory"], again), dict(os.environ))
    if is_root:
        _drop_to(app.app)
    return _run(app, app.slots / slot, process, definition, slot)


def run_job(arguments: list[str]) -> int:
    """Replaces this process by the command of a timer of the live release. systemd starts it as the app's user."""
    if len(arguments) != 2:
        sys.stderr.write("usage: agent job APP TIMER\n")
        return 2
    app, name = AppPaths(check_app_name(arguments[0])), arguments[1]
    slot = _live_slot(app)
    definition = None if slot is None else _definition(app, slot, name)
    if slot is None or definition is None:
        sys.stderr.write(f"slipway: {app.app} has no live release with a timer {name}\n")
        return 0
    return _run(app, app.slots / slot, name, definition, slot)


def _run(app: AppPaths, place: Path, process: str, definition: Mapping[str, Any], slot: str) -> int:
    try:
        record = json.loads((place / "release.json").read_bytes())
        variables = json.loads((place / "env").read_bytes())
        venv = (place / "venv").resolve(strict=True)
        os.chdir((place / "code").resolve(strict=True) / record.get("app_folder", ""))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"slipway: {process} of {app.app} cannot start in slot {slot}: {error}\n")
        return _NOT_READY
    environment = app_environment(app, record, venv, variables)
    environment["SLIPWAY_SLOT"] = slot
    environment["SLIPWAY_PROCESS"] = process
    os.umask(0o022)
    if process != "web":
        return _become(shell(definition["command"]), environment)
    environment["SLIPWAY_SOCKET"] = str(app.socket(slot))
    environment["SLIPWAY_KIND"] = definition["kind"]
    environment["SLIPWAY_OPTIONS"] = json.dumps(definition.get("options", {}))
    if definition["kind"] == "own":
        from .bridge import serve

        port = int(json.loads(app.ports.read_bytes())[slot])
        return serve(app.socket(slot), port, shell(definition["command"]), {**environment, "PORT": str(port)})
    return _become(_command(app, slot, venv, definition), environment)


def _become(command: list[str], environment: dict[str, str]) -> int:
    try:
        os.execve(command[0], command, environment)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"slipway: {command[0]} cannot be started: {error}\n")
    return _NOT_READY


def _command(app: AppPaths, slot: str, venv: Path, web: Mapping[str, Any]) -> list[str]:
    if web["kind"] == "command":
        return ["/bin/sh", "-c", f"exec {web['command']}"]
    config = rooted("/etc/slipway/apps") / app.app / "gunicorn.conf.py"
    # --bind also here: GUNICORN_CMD_ARGS among the app's variables would win over the file
    bind = f"unix:{app.socket(slot)}"
    return [str(venv / "bin" / "gunicorn"), "--config", str(config), "--bind", bind, str(web["target"])]


def _definition(app: AppPaths, slot: str, process: str) -> Mapping[str, Any] | None:
    """What the release in the slot says of a process; None: it has none of that name.

    Of a record that cannot be read nothing is known, and the process is not taken for one that is not wanted.
    """
    try:
        record = json.loads((app.slots / slot / "release.json").read_bytes())
    except (OSError, ValueError):
        return {}
    if process == "web":
        return dict(record["web"])
    for worker in record.get("workers", ()):
        name, _, number = process.rpartition(".")
        if worker["name"] == name and number.isdigit() and 1 <= int(number) <= worker["count"]:
            return dict(worker)
    return next((dict(timer) for timer in record.get("timers", ()) if timer["name"] == process), None)


def _drop_to(name: str) -> None:
    """From here on this process is the app's user."""
    import pwd

    user = pwd.getpwnam(name)
    os.initgroups(name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def _wanted(app: AppPaths, slot: str, process: str) -> bool:
    """It is of the live slot: then it runs, even if a flag was lost. The web server also when root asked for it."""
    return (process == "web" and app.start_flag(slot).exists()) or _live_slot(app) == slot


def _live_slot(app: AppPaths) -> str | None:
    try:
        return str(json.loads(app.live_record.read_bytes())["slot"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
