"""`python -m pulumi_slipway.bring`: has a server run this version of the agent.

Started by the agent command of each app and database. One JSON document on stdin (it holds a secret): `{"host": Host,
"private_key": …}`; progress on stderr, the agent's answer as one JSON line on stdout. May be run again at any time.
"""

from __future__ import annotations

import json
import sys

from .machine import Machine, report


def main() -> int:
    return report(json.load(sys.stdin), Machine.bring_agent)


if __name__ == "__main__":
    sys.exit(main())
