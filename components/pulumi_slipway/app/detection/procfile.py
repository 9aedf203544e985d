"""The Procfile: what it says of web processes, release commands, workers and timers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .recipe import DetectionError, Timer, Worker
from .schedule import split_schedule
from .shell import without_runner
from .tree import Tree
from .web import WebLine, read_web_line

FILE = "Procfile"
_LINE = re.compile(r"([A-Za-z0-9_-]+)\s*:\s*(.*)")
_TIMER = re.compile(r"cron(?:[-_](.+))?")


@dataclass
class Procfile:
    """What a Procfile says; a source without one says nothing."""

    web: WebLine | None = None
    release: list[str] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)


def read_procfile(tree: Tree) -> Procfile:
    """`web:` and `release:` are themselves, `cron:` and `cron-NAME:` a timer (five fields, then the command), every
    other line a worker. Raises `DetectionError` for a name that is given twice and for a time that is none."""
    procfile = Procfile()
    seen: set[str] = set()
    for text in tree.text(FILE).splitlines():
        match = _LINE.fullmatch(text.strip())
        if not match or text.lstrip().startswith("#") or not match[2]:
            continue
        name, command = match[1], match[2]
        if _process_name(name) in seen:
            raise DetectionError(f"path: its {FILE} has two lines named {name!r}; give each process a name of its own")
        seen.add(_process_name(name))
        timer = _TIMER.fullmatch(name)
        if name == "web":
            procfile.web = read_web_line(command, tree)
        elif name == "release":
            procfile.release.append(without_runner(command))
        elif timer:
            schedule, run = _timed(name, command)
            procfile.timers.append(Timer(_process_name(timer[1] or "cron"), schedule, without_runner(run)))
        else:
            procfile.workers.append(Worker(_process_name(name), without_runner(command)))
    return procfile


def _timed(name: str, text: str) -> tuple[str, str]:
    found = split_schedule(text)
    if found is None:
        raise DetectionError(
            f"path: the line {name!r} of its {FILE} is {text!r}, which does not begin with a time; "
            f"write five fields and the command, as in {name}: */5 * * * * python manage.py tidy"
        )
    return found


def _process_name(name: str) -> str:
    return name.lower().replace("_", "-")
