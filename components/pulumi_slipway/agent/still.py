"""Stopping an app so that nobody writes to its data, also after a reboot, and starting it again as it was.

nginx answers 503 in its place, supervisor does not know its programs, and no process of its user is left. When, and
for how long, is the matter of `hold.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import catalogue, files, health, nginx, paths, processes, slots, timers, tree, undo, users, workers
from .errors import AgentError
from .paths import SLOTS, AppPaths
from .progress import say
from .record import read_live
from .supervisor import Supervisor
from .undo import Content

RETRY_AFTER = 60
"""Seconds after which visitors are asked to come again."""

_STOP_WITHIN = 90.0


def stop(app: AppPaths) -> None:
    """Nobody is let in, those inside finish, and nothing of the app runs. Can be run again at any point."""
    undo.put_back(app.site_undo)
    supervisor = Supervisor()
    _close_door(app)
    timers.apply(app, None)
    timers.end_jobs(app)
    workers.note(app, None)
    live = read_live(app)
    if live is not None:
        slots.wait_queue_empty(app, live.slot)
    for slot in SLOTS:  # the flags go first: nothing must bring a slot back
        app.start_flag(slot).unlink(missing_ok=True)
    _, _, removed = supervisor.reread()
    supervisor.drop(sorted(_slots(app) | workers.programs(app, removed)), _stop_within(app))
    user = users.own(app.app)
    if user is not None:
        users.end_processes(user)
    files.sync_filesystem(app.root)


def start(app: AppPaths) -> None:
    """Have all as it was before `stop`. Can be run again at any point."""
    undo.put_back(app.hold_undo)
    if users.own(app.app) is None or not app.site_record.exists():
        return
    supervisor = Supervisor()
    added, _, _ = supervisor.reread()
    supervisor.add(sorted(workers.programs(app, added)))
    _wait_until_healthy(app, supervisor)
    nginx.test()
    nginx.reload()


def put_files_back(app: AppPaths) -> None:
    """The part of `start` that is needed before nginx and supervisor start themselves."""
    undo.put_back(app.hold_undo)


def extent(app: AppPaths) -> tree.Extent:
    left_out: list[str] = []
    if not app.shared.is_dir():
        return tree.Extent("", 0, 0)
    found = tree.extent(app.shared.resolve(), users.own(app.app), left_out)
    for name in left_out[:10]:
        say(f"{app.shared}/{name} is no file, folder or link: it stays here")
    return found


def _close_door(app: AppPaths) -> None:
    """nginx says that it will not be long; supervisor forgets the app's programs, those of a later boot included."""
    supervisor = paths.rooted("/etc/supervisor/conf.d") / f"{app.app}.conf"
    record = files.read_json(app.site_record) or {}
    sites = [path for path in record.get("files", {}) if path.startswith("/etc/nginx/sites-enabled/")]
    names = _names(record)
    if not names or not sites:
        _replace(app, {supervisor: None})
        return
    sign = Content(_sign(app, names).encode())
    _replace(app, {supervisor: None, paths.rooted(sites[0]): sign})
    try:
        nginx.test()
        nginx.reload()
    except AgentError as error:  # a file of somebody else's; then visitors get an error that says less
        say(f"warning: visitors are not told that {app.app} will be back: {error}")
        undo.put_back(app.hold_undo)
        _replace(app, {supervisor: None})


def _replace(app: AppPaths, changes: dict[Path, Content | None]) -> None:
    """What was there is noted once only: a second time it would be our own."""
    if app.hold_undo.exists():
        undo.apply(undo.differing(changes))
    else:
        undo.replace(app.hold_undo, changes)


def _names(site: dict[str, Any]) -> list[str]:
    subject = site.get("subject", {})
    addresses = [f"[{address}]" if ":" in address else address for address in subject.get("addresses", ())]
    return [*subject.get("names", ()), *addresses]


def _sign(app: AppPaths, names: list[str]) -> str:
    """The site while the app stands still."""
    return f"""\
# Written by Slipway while the data of {app.app} are carried to another machine.
server {{
    include /etc/nginx/slipway/listen-80.conf;
    include /etc/nginx/slipway/listen-443.conf;
    include /etc/nginx/slipway/tls.conf;
    ssl_certificate /etc/slipway/tls/{app.app}/cert.pem;
    ssl_certificate_key /etc/slipway/tls/{app.app}/key.pem;
    server_name {" ".join(names)};
    server_tokens off;
    access_log /var/log/nginx/{app.app}.access.log;
    error_log /var/log/nginx/{app.app}.error.log;
    default_type text/plain;
    add_header Retry-After {RETRY_AFTER} always;
    add_header Cache-Control no-store always;
    return 503 "This site is being moved to another machine. Please try again in a moment.\\n";
}}
"""


def _wait_until_healthy(app: AppPaths, supervisor: Supervisor) -> None:
    """Visitors are let in when they get an answer; or, with a warning, when it is certain that they get none."""
    live = slots.settle(app, supervisor)
    if live is None:
        return
    try:
        rule = health.Rule.read(catalogue.read(app, live.release)["health"])
        health.wait(app.socket(live.slot), rule, lambda: None)
    except AgentError as error:
        say(f"warning: {app.app} was started again, but is not healthy: {error}")


def _slots(app: AppPaths) -> set[str]:
    return {app.program(slot) for slot in SLOTS}


def _stop_within(app: AppPaths) -> float:
    live = read_live(app)
    record = files.read_json(app.release(live.release) / "release.json") if live is not None else None
    longest = max(float((record or {}).get("drain", 0)), processes.Processes.read(record or {}).longest_stop)
    return max(_STOP_WITHIN, longest + 2 * slots.STOP_MARGIN)
