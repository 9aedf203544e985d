"""How the programs of an app are: its workers and timers, and its web server, each by its name."""

from __future__ import annotations

from collections.abc import Collection

from . import files, processes, timers, workers
from .errors import AgentError
from .paths import AppPaths
from .record import Live
from .run import tool
from .supervisor import Supervisor

States = dict[str, dict[str, object]]


def are_noted(app: AppPaths, live: Live | None) -> bool:
    """Whether supervisor's files and systemd's units of workers and timers are those of the live release."""
    try:
        return workers.is_noted(app, live) and timers.is_applied(app, live)
    except (AgentError, OSError):  # damaged: the next run sees to it
        return False


def not_running(app: AppPaths, live: Live, alive: Collection[str]) -> list[str]:
    """What of the live release does not run, for people; `alive`: the programs of supervisor that do."""
    wanted = processes.wanted(app, live) or processes.Processes()
    names = [processes.WEB, *(process for worker in wanted.workers for process in worker.processes)]
    programs = [app.program(live.slot, name) for name in names]
    found = [f"the program {name}, which does not run" for name in programs if name not in alive]
    return found + [f"the timer {name}, which is off" for name in timers.off(app, live)]


def states(app: AppPaths, live: Live | None) -> States:
    """Name → `state`, and `as_wanted`: whether it is as it should be. Of timers also when they ran and will run, and
    how that ended. Nothing is told while the app stands still."""
    if live is None or app.hold.exists():
        return {}
    try:
        supervisor = Supervisor(timeout=5)
        web = supervisor.process(app.program(live.slot))
        state = web.state if web else "UNKNOWN"
        found: States = {processes.WEB: {"state": state.lower(), "as_wanted": state in ("STARTING", "RUNNING")}}
        return found | workers.states(app, supervisor, live) | timers.states(app, live)
    except (AgentError, OSError):
        return {}


def last_lines(app: AppPaths, live: Live | None, process: str, lines: int) -> list[str]:
    """What a worker (`mail`, or one process of it, `mail.2`) or a timer wrote last. Raises `AgentError` for others."""
    wanted = processes.wanted(app, live) or processes.Processes()
    if live is not None and wanted.timer(process) is not None:
        command = ["journalctl", "--quiet", "--no-pager", "--output=cat", f"--lines={lines}"]
        return tool([*command, f"--identifier={timers.identifier(app, process)}"]).splitlines()
    names = [name for worker in wanted.workers for name in worker.processes if process in (worker.name, name)]
    if live is None or not names:
        known = ", ".join(
            [processes.WEB, *(each.name for each in wanted.workers), *(each.name for each in wanted.timers)]
        )
        raise AgentError(f"{app.app} has no process {process!r}; there are {known}")
    found = []
    for name in names:
        found += files.last_lines(app.log(live.slot, name), lines=lines, limit=lines * 1000)
    return found
