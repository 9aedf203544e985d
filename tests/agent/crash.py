"""Runs in the machine: an agent command that is killed (`kill -9` to itself) before its Nth change to the disk.

usage: python3 -I crash.py N COMMAND < request     prints how many such moments there were, when it survives
"""

import json
import os
import signal
import sys

sys.path.insert(0, "/usr/local/lib/slipway/agent")

from slipway_agent import main

MOMENTS = {
    "os.rename",
    "os.symlink",
    "os.remove",
    "os.link",
    "os.mkdir",
    "os.rmdir",
    "subprocess.Popen",
    "socket.connect",
}


def die_before(number: int) -> list[int]:
    """Arm the end of this process; the list holds the number of moments that passed."""
    passed = [0]

    def moment(event: str, _arguments: object) -> None:
        if event in MOMENTS:
            passed[0] += 1
            if passed[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(moment)
    return passed


command = main.COMMANDS[sys.argv[2]]
request = json.load(sys.stdin)
moments = die_before(int(sys.argv[1]))
answer = main._guarded(command, request)
assert answer["ok"], answer
print(moments[0])
