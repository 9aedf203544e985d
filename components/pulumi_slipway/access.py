"""`python -m pulumi_slipway.access`: has a server let in what the firewall's list says, and the people it names log in.

Started by the access command of each server that Slipway makes, when that list or the keys are others than before. One
JSON document on stdin (it holds a secret): `{"host": Host, "private_key": …, "rules": […], "admin_keys": […]}`;
progress on stderr, the agent's answer as one JSON line on stdout. May be run again at any time.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from typing import Any

from .firewall import ANYWHERE, FirewallRule


def summary(rules: Sequence[FirewallRule], admin_keys: Sequence[str]) -> str:
    """What a preview shows of it: ports with their sources, and the keys by what tells them apart."""
    ports = [
        f"{rule.port}/{rule.protocol}" + ("" if rule.sources == ANYWHERE else f" from {' '.join(rule.sources)}")
        for rule in rules
    ]
    people = [hashlib.sha256(key.split()[1].encode()).hexdigest()[:8] for key in admin_keys]
    return f"ufw lets in {', '.join(ports)}; admin_keys: {' '.join(people) or 'none'}"


def main() -> int:
    # bring paramiko, which the Pulumi program, that takes its `summary` from here, has no use for
    from .machine import Machine, report

    request = json.load(sys.stdin)

    def work(machine: Machine) -> dict[str, Any]:
        machine.bring_agent()  # one of before knows nothing of this
        return machine.ask("access", {key: request[key] for key in ("rules", "admin_keys")})

    return report(request, work)


if __name__ == "__main__":
    sys.exit(main())
