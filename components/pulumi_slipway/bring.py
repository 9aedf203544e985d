"""`python -m pulumi_slipway.bring`: has a server run this version of the agent.

Started by the agent command of each app and database. One JSON document on stdin (it holds a secret): `{"host": Host,
"private_key": …}`; progress on stderr, the agent's answer as one JSON line on stdout. May be run again at any time.
"""

from __future__ import annotations

import json
import sys

from .carry_machine import AgentFailedError, Machine
from .ssh import SshError, say


def main() -> int:
    request = json.load(sys.stdin)
    try:
        answer = Machine(request["host"], request["private_key"]).bring_agent()
    except (AgentFailedError, SshError) as error:
        say(f"error: {error}")
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
