"""An agent command that is killed (`kill -9` to itself) before its Nth change to the disk.

usage, in the machine: python3 -I crash.py N COMMAND < request
prints how many such moments there were, when it survives
"""

import json
import os
import signal
import sys
from typing import Any

MOMENTS = frozenset(
    {
        "os.rename",
        "os.symlink",
        "os.remove",
        "os.link",
        "os.mkdir",
        "os.rmdir",
        "subprocess.Popen",
        "socket.connect",
    }
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def die_before(number: int, moments: frozenset[str] = MOMENTS) -> list[int]:
    """Arm the end of this process; the list holds the number of moments that passed. Of "open", writing counts."""
    passed = [0]

    def moment(event: str, arguments: Any) -> None:
        if event in moments and (event != "open" or arguments[2] & _WRITING):
            passed[0] += 1
            if passed[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(moment)
    return passed


def run() -> None:
    sys.path.insert(0, "/usr/local/lib/slipway/agent")
    from slipway_agent import main

    command = main.COMMANDS[sys.argv[2]]
    request = json.load(sys.stdin)
    moments = die_before(int(sys.argv[1]))
    answer = main._guarded(command, request)
    assert answer["ok"], answer
    print(moments[0])


if __name__ == "__main__":
    run()
