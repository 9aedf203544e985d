"""How long is a release, and where does the time go?

    python -m bench.release_speed [--rounds 5] [--keep]

Launches a small Flask app (some 14 wheels, an import of about 0.6 s) on a local machine of its own and releases changes
of its code: by ``pulumi up``, and the plain way, which is to stop, migrate and start by one ssh script, on the same
server; on the LAN, and with 40 ms more to each round trip. Then it rolls back. Prints medians, step by step, and what
the project promises of them.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from bench.plain_way import PlainWay
from bench.project import CHECKOUT, HOME, BenchError, Project, environment, machine_line, table
from bench.relay import relayed
from bench.release_under_load import say
from bench.speed_app import SpeedApp

FAR = 0.040
"""Seconds that each round trip takes more, on the longer way."""
IMPORT = 0.6
"""Seconds that the app's import is to take."""

TO_LIVE = 0.3
"""Seconds from the agent's start until the release is live, more than the import."""
WHOLE = 1.5
"""Seconds of a whole ``pulumi up``, more than an empty program and the import."""
ROLLBACK = 0.5
"""Seconds from the agent's start until the earlier release is live, more than the import."""

CONNECTIONS = {
    "observe": "asks what is live, before it is decided what there is to do",
    "release": "brings the source and has it made live; progress and answer come back on it",
}
"""The SSH connections of a release, each with its reason."""

PLUGINS = """\
import pulumi_random, pulumi_tls
from pulumi_command import local

pulumi_random.RandomId("id", byte_length=4)
pulumi_tls.PrivateKey("key", algorithm="ED25519")
local.run_output(command="true")
"""
"""A program that has the engine start the plug-ins of a release, and little else. The rig's are Python programs."""

AGENT = "/usr/local/lib/slipway/agent"

_IMPORT = """\
import os, subprocess, sys, time
for _ in range(3):
    before, began = os.times(), time.monotonic()
    subprocess.run([sys.argv[1], "-c", "import app"], check=True)
    took, after = time.monotonic() - began, os.times()
    print(took, after.children_user + after.children_system - before.children_user - before.children_system)
"""
"""Runs on the server."""

Steps = dict[str, float]
"""Seconds by the name of what was done in them, in that order."""


class Site:
    """The app, the stack that releases it, and its server."""

    def __init__(self) -> None:
        self.app = SpeedApp(HOME / "speed-app")
        self.plain = PlainWay(HOME / "plain", self.app)
        settings = {
            "target": "local",
            "app": {"path": str(self.app.folder), "name": self.app.name},
            "admin_keys": [self.plain.public_key],
        }
        self._project = Project("speed", environment(), (CHECKOUT / "__main__.py").read_text(), settings)

    def launch(self) -> None:
        """Make the machine, have the app's import last as long as it is to, and install what it is compared with."""
        self._project.up()
        self.host: Mapping[str, Any] = self._project.outputs()["host"]
        # by the CPU's seconds: this machine may be busy with other things
        self.app.fill(max(0.0, IMPORT - self.import_time()["cpu"]))
        self._project.up()
        self.plain.set_up(self.host, self.run)

    def import_time(self) -> Steps:
        """Seconds of ``python -c "import app"`` on the server, as the app, and of the CPU in it: medians of 3."""
        place = f"/srv/{self.app.name}/live"
        script = f"cd {place}/code && exec python3 -I -c {shlex.quote(_IMPORT)} {place}/venv/bin/python"
        lines = self.run(f"runuser -u {self.app.name} -- sh -c {shlex.quote(script)}").splitlines()
        return medians([dict(zip(("whole", "cpu"), map(float, line.split()), strict=True)) for line in lines])

    def release(self) -> Steps:
        """Change the code and bring the change live by ``pulumi up``."""
        self.app.change()
        began = time.time()
        self._project.up()
        ended = time.time()
        agent = self._agent()
        live = float(self.run(f"stat -c %.Z /run/slipway/{self.app.name}/live"))
        logins = self._logins(began)
        if len(logins) != len(CONNECTIONS):
            raise BenchError(f"a release made {len(logins)} SSH connections, not {len(CONNECTIONS)}")
        started = live - agent["to live"]
        return {
            "engine, program, until the server is asked": logins[0] - began,
            "what is live; the decision; connecting again": logins[1] - logins[0],
            "the source brought, the agent started": started - logins[1],
            **{f"agent: {name}": seconds for name, seconds in agent.items() if name != "to live"},
            "after it is live": ended - live,
            "whole": ended - began,
            "live after": live - began,
            "to live": agent["to live"],
        }

    def rollback(self) -> Steps:
        """Back to the release before, by the agent."""
        self.run(f'echo \'{{"app": "{self.app.name}"}}\' | {AGENT} rollback')
        return self._agent()

    def run(self, command: str) -> str:
        """Run a shell command on the server, as root, not by SSH; what it printed."""
        driver = [sys.executable, "-m", "pulumi_slipway.local", "exec", str(self.host["name"]), "--"]
        done = subprocess.run(
            [*driver, "sh", "-c", command],
            cwd=CHECKOUT / "components",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode != 0:
            raise BenchError(f"`{command}` failed on the server:\n{done.stdout}{done.stderr}")
        return done.stdout

    def destroy(self) -> None:
        """Take everything away again."""
        self._project.destroy()

    def _agent(self) -> Steps:
        """The parts of the agent's last command, from its start until the release was live."""
        entry = json.loads(self.run(f"tail -n 1 /srv/{self.app.name}/journal.jsonl"))
        parts: Steps = entry["seconds_of"]
        told = {name: parts[name] for name in ("stage", "migrate", "start", "switch") if name in parts}
        loading = parts["to_live"] - sum(told.values())
        return {"loading, locks, what is there": loading, **told, "to live": parts["to_live"]}

    def _logins(self, since: float) -> list[float]:
        """When Slipway logged in at the server."""
        # the machine's clock is this host's
        log = self.run(
            f"journalctl -q -o short-unix --since @{int(since)} | grep 'Accepted publickey for deploy' || true"
        )
        found = [float(line.split()[0]) for line in log.splitlines()]
        return [moment for moment in found if moment >= since]


def main(argv: list[str] | None = None) -> int:
    """The command. Exit status 0: all within the limits; 1: something above; 2: not measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.release_speed", description="Times releases of code alone.")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is timed, after a warm-up (default 5)")
    parser.add_argument("--keep", action="store_true", help="keep the machine for a next run")
    args = parser.parse_args(argv)
    try:
        return measure(max(args.rounds, 1), args.keep)
    except BenchError as error:
        print(f"bench.release_speed: {error}", file=sys.stderr)
        return 2


def measure(rounds: int, keep: bool) -> int:
    """Launch, time everything, print the tables; tell by the exit status whether all is within the limits."""
    site = Site()
    empty = Project("empty", environment(), "")
    plugins = Project("plugins", environment(), PLUGINS)
    try:
        say("launching the app on a machine of its own")
        site.launch()
        near = {
            "import": site.import_time,
            "release": site.release,
            "plain": site.plain.release,
            "rollback": site.rollback,
            "empty": lambda: timed(empty.up),
            "plugins": lambda: timed(plugins.up),
        }
        times = {"near": repeat("on the LAN", rounds, near)}
        with relayed(str(site.host["address"]), int(site.host["port"]), FAR):
            far = {name: near[name] for name in ("release", "plain")}
            times["far"] = repeat(f"with {FAR * 1000:.0f} ms more", rounds, far)
        return report(times)
    finally:
        if not keep:
            for project in (site, empty, plugins):
                project.destroy()


def repeat(where: str, rounds: int, what: Mapping[str, Callable[[], Steps]]) -> dict[str, Steps]:
    """Do each in turn, once without counting it, then ``rounds`` times: the medians."""
    taken: dict[str, list[Steps]] = {name: [] for name in what}
    for number in range(rounds + 1):
        say(f"{where}: {f'round {number} of {rounds}' if number else 'warm-up'}")
        for name, function in what.items():
            steps = function()
            if number:
                taken[name].append(steps)
    return {name: medians(runs) for name, runs in taken.items()}


def medians(runs: list[Steps]) -> Steps:
    """The median of each step."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def timed(function: Callable[[], object]) -> Steps:
    began = time.perf_counter()
    function()
    return {"whole": time.perf_counter() - began}


def report(times: Mapping[str, Mapping[str, Steps]]) -> int:
    """Print the tables and the verdicts."""
    near, far = times["near"], times["far"]
    import_time, work = near["import"]["whole"], near["import"]["cpu"]
    rows = [["seconds (medians)", "LAN", f"{FAR * 1000:.0f} ms round trip"]]
    for name, seconds in near["release"].items():
        if name != "to live":
            rows.append([name, f"{seconds:.2f}", f"{far['release'][name]:.2f}"])
    print(f"A release of code alone, by `pulumi up --skip-preview`; the app imports in {import_time:.2f} s\n")
    print(table(rows))
    print("\nSSH connections of a release:")
    for name, reason in CONNECTIONS.items():
        print(f"- {name}: {reason}")
    print("\nBeside the plain way (stop, migrate, start by one ssh script) on the same server; ratios to it\n")
    print(
        table(
            [
                ["", *(f"{way}, {place}" for place in ("LAN", "far") for way in ("Slipway", "plain", "ratio"))],
                *(compared(name, near, far) for name in ("whole", "live after", "without service")),
            ]
        )
    )
    print(machine_line())
    if import_time > 1.3 * work:
        print(f"This machine was busy: of the {import_time:.2f} s of an import {work:.2f} s were its own work.")
    empty, plugins = near["empty"]["whole"], near["plugins"]["whole"]
    print(f"An empty program takes {empty:.2f} s, one that starts the plug-ins of a release {plugins:.2f} s")
    verdicts = [
        ("agent's start to live", near["release"]["to live"] - import_time, TO_LIVE, "the import"),
        ("the whole of `pulumi up`", near["release"]["whole"] - empty - import_time, WHOLE,
         f"an empty program's ({empty:.2f} s) and the import"),
        ("a rollback, agent's start to live", near["rollback"]["to live"] - import_time, ROLLBACK, "the import"),
    ]  # fmt: skip
    for what, more, limit, than in verdicts:
        verdict = "within" if more <= limit else "ABOVE"
        print(f"{what}: {more:.2f} s more than {than}: {verdict} the limit of {limit} s")
    return 0 if all(more <= limit for _, more, limit, _ in verdicts) else 1


def compared(name: str, near: Mapping[str, Steps], far: Mapping[str, Steps]) -> list[str]:
    """A row: Slipway, the plain way, and the one in parts of the other; on the LAN, and far away."""
    cells = [name]
    for times in (near, far):
        ours, plain = times["release"].get(name, 0.0), times["plain"][name]
        cells += [f"{ours:.2f}", f"{plain:.2f}", f"{ours / plain:.2f}"]
    return cells


if __name__ == "__main__":
    sys.exit(main())
