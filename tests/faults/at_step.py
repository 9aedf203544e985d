"""Runs in the machine: an agent command that comes to a step of a release, and no further.

usage: python3 -I at_step.py STEP HOW COMMAND < request

HOW is "killed": `kill -9` of itself; "halted": it makes the file /run/at-step and stands still, for what is to happen
then; or a shell command that is run there, after which the agent goes on.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

STEPS = {
    "begun": ("release", "stage", "before"),
    "unpacked": ("environment", "find", "before"),
    "built": ("stage", "_compile", "before"),
    "assembled": ("files", "sync_filesystem", "before"),
    "staged": ("database", "prepare", "before"),
    "migrated": ("rollout", "roll_out", "before"),
    "slot filled": ("slots", "start", "before"),
    "started": ("health", "wait", "before"),
    "healthy": ("slots", "switch", "before"),
    "decided": ("slots", "write_live", "after"),
    "switched": ("catalogue", "mark_good", "before"),
    "draining": ("rollout", "_retire", "before"),
    "drained": ("release", "_prune", "before"),
    "done": ("journal", "_append", "before"),
}
"""What is done when the agent is killed, in the order of a release: before or after a function of its."""


def end_at(step, how):
    name, function, when = STEPS[step]
    module = importlib.import_module(f"slipway_agent.{name}")
    real = getattr(module, function)

    def end(*arguments, **options):
        if when == "after":
            real(*arguments, **options)
        if how == "halted":
            Path("/run/at-step").touch()
            time.sleep(600)
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        subprocess.run(["sh", "-c", how], check=True)
        return real(*arguments, **options) if when == "before" else None

    setattr(module, function, end)


if __name__ == "__main__":
    sys.path.insert(0, "/usr/local/lib/slipway/agent")
    from slipway_agent import main

    end_at(sys.argv[1], sys.argv[2])
    answer = main._guarded(main.COMMANDS[sys.argv[3]], json.load(sys.stdin))
    sys.exit(0 if answer["ok"] else f"the agent failed: {answer}")
