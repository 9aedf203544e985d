"""The timers of an app in systemd: those of the live release, and none while the app stands still.

Their units name no command: a job takes that of the release which is live when it begins, so a release that changes no
time leaves them alone. A job that runs at a switch is left to finish. systemd starts no job a second time while it
runs: a time that falls into its own last run is left out.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from . import files, limit, paths, processes
from .errors import AgentError
from .paths import AppPaths
from .processes import Timer
from .record import Live
from .run import tool

_FOLDER = "/etc/systemd/system"
_STAMPS = "/var/lib/systemd/timers"
"""When each timer last ran, as systemd notes it for those that make good for missed times."""


def identifier(app: AppPaths, name: str) -> str:
    """By what the journal knows a timer, and how its units' names begin. No app's name has a dot in it: these are none
    of Slipway's own units, and no other app's."""
    return f"slipway-{app.app}.{name}"


def units(app: AppPaths, live: Live | None) -> dict[str, str] | None:
    """Name → text of the units as they are to be while `live` is; None: that is not known."""
    wanted = processes.wanted(app, live)
    if wanted is None:
        return None
    found = {}
    for timer in wanted.timers:
        found[f"{identifier(app, timer.name)}.timer"] = _timer(app, timer)
        found[f"{identifier(app, timer.name)}.service"] = _service(app, timer)
    return found


def is_applied(app: AppPaths, live: Live | None) -> bool:
    """Whether systemd has the units as they are to be, as far as files tell."""
    wanted = units(app, live)
    return wanted is None or (_noted(app) == _digest(wanted) and _present(app) == wanted)


def apply(app: AppPaths, live: Live | None) -> bool:
    """Have the timers of `live`, and no others; whether there was anything to do."""
    wanted, present = units(app, live), _present(app)
    if wanted is None or (present == wanted and _noted(app) == _digest(wanted) and not off(app, live)):
        return False
    app.timers.unlink(missing_ok=True)  # until systemd knows of the change, it counts as not made
    gone = sorted(name for name in present if name not in wanted and name.endswith(".timer"))
    if gone:
        tool(["systemctl", "disable", "--quiet", "--now", *gone])
    for name in sorted(present.keys() - wanted.keys()):
        _place(name).unlink(missing_ok=True)
    if not app.hold.exists():  # one that comes back some day has not missed all times since
        for name in gone:
            (paths.rooted(_STAMPS) / f"stamp-{name}").unlink(missing_ok=True)
    for name, text in wanted.items():
        files.write_atomic(_place(name), text.encode())
    tool(["systemctl", "daemon-reload"])
    for name in sorted(present.keys() - wanted.keys()):
        with contextlib.suppress(AgentError):  # systemd knows it no more, unless its last job failed
            tool(["systemctl", "reset-failed", name])
    timers = sorted(name for name in wanted if name.endswith(".timer"))
    changed = [name for name in timers if present.get(name) != wanted[name]]
    if timers:
        tool(["systemctl", "enable", "--quiet", *timers])
        tool(["systemctl", "start", "--no-block", *timers])
    if changed:  # one that runs goes by its old times until it is started anew
        tool(["systemctl", "restart", "--no-block", *changed])
    if wanted:
        files.write_atomic(app.timers, _digest(wanted).encode())
    return True


def end_jobs(app: AppPaths) -> None:
    """Stop what runs of them, by TERM and after a while by KILL."""
    running = [name for name in _loaded(app) if name.endswith(".service")]
    if running:
        tool(["systemctl", "stop", *running], timeout=150)


def off(app: AppPaths, live: Live | None) -> list[str]:
    """The names of timers of the live release that systemd does not wait for."""
    wanted = processes.wanted(app, live)
    names = [timer.name for timer in wanted.timers] if wanted is not None else []
    if not names:
        return []
    states = tool(
        ["systemctl", "show", "--property=ActiveState", *(f"{identifier(app, name)}.timer" for name in names)]
    )
    found = [line.partition("=")[2] for line in states.splitlines() if "=" in line]
    return [name for name, state in zip(names, found, strict=True) if state != "active"]


def states(app: AppPaths, live: Live | None) -> dict[str, dict[str, object]]:
    """Each timer of the live release: whether it waits or its job runs, when it ran last, how that ended, and when it
    runs next."""
    found: dict[str, dict[str, object]] = {}
    wanted = processes.wanted(app, live)
    for timer in wanted.timers if wanted is not None else ():
        unit = identifier(app, timer.name)
        clock = _show(f"{unit}.timer", "ActiveState", "LastTriggerUSec", "NextElapseUSecRealtime")
        job = _show(f"{unit}.service", "ActiveState", "Result")
        running, waits = job.get("ActiveState") in ("activating", "active"), clock.get("ActiveState") == "active"
        last = clock.get("LastTriggerUSec") or None
        found[timer.name] = {
            "state": "running" if running else "waiting" if waits else "off",
            "as_wanted": waits,
            "last": last,
            "next": clock.get("NextElapseUSecRealtime") or None,
            "result": job.get("Result") if last else None,
        }
    return found


def _timer(app: AppPaths, timer: Timer) -> str:
    events = "".join(f"OnCalendar={event}\n" for event in timer.schedule)
    return f"""\
# Written by Slipway.
[Unit]
Description=Slipway: when {timer.name} of {app.app} runs

[Timer]
{events}AccuracySec=1s
Persistent={"true" if timer.missed == "run" else "false"}

[Install]
WantedBy=timers.target
"""


def _service(app: AppPaths, timer: Timer) -> str:
    memory = "".join(f"{line}\n" for line in limit.properties(timer.memory)) if timer.memory else ""
    return f"""\
# Written by Slipway.
[Unit]
Description=Slipway: {timer.name} of {app.app}
Wants=network-online.target
After=network-online.target slipway-boot.service
StartLimitIntervalSec=0

[Service]
Type=oneshot
User={app.app}
ExecStart=/usr/local/lib/slipway/agent job {app.app} {timer.name}
StandardInput=null
SyslogIdentifier={identifier(app, timer.name)}
TimeoutStartSec={timer.timeout:.0f}
TimeoutStopSec=60
{memory}"""


def _place(name: str) -> Path:
    return paths.rooted(_FOLDER) / name


def _present(app: AppPaths) -> dict[str, str]:
    return {
        path.name: path.read_text()
        for kind in ("timer", "service")
        for path in paths.rooted(_FOLDER).glob(f"{identifier(app, '*')}.{kind}")
    }


def _loaded(app: AppPaths) -> list[str]:
    """Also those whose files are gone."""
    command = ["systemctl", "list-units", "--all", "--plain", "--no-legend", f"{identifier(app, '*')}"]
    return [line.split()[0] for line in tool(command).splitlines() if line.split()]


def _noted(app: AppPaths) -> str:
    return app.timers.read_text() if app.timers.is_file() else _digest({})


def _digest(wanted: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest() if wanted else ""


def _show(unit: str, *properties: str) -> dict[str, str]:
    lines = tool(["systemctl", "show", f"--property={','.join(properties)}", unit]).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)
