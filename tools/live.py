"""`make live STACK=…`: the checks of the clouds' table on a real cloud, for somebody with credentials for it.

It makes what the stack's settings say, and takes it away again. Never run by tests or CI: it asks, and only the name
of the stack, typed by a person or given as CONFIRM, is an answer.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tools import setup, stack
from tools.common import CHECKOUT, VENV, ToolError, say

_COSTS = """\
This makes what Pulumi.{stack}.yaml asks for on {target}, in the account of your credentials, and destroys it at the
end: a server and its address, perhaps a database, for about half an hour. With the default sizes that costs below
1 USD at any of the clouds; what you made larger costs more. If it is interrupted: `make down STACK={stack}`."""


def check(ready: setup.Ready, name: str) -> int:
    """Run the checks; answer the exit status. Raises ToolError when something speaks against it."""
    target = stack.target(name, None)
    obstacle = _obstacle(ready, name, target)
    if obstacle:
        raise ToolError(f"make live STACK={name}: {obstacle}")
    say(_COSTS.format(stack=name, target=target))
    if _answer(name) != name:
        raise ToolError(f"not confirmed: nothing was made. Type the stack's name when asked, or give CONFIRM={name}")
    stack.ensure(ready, name, None)
    stack.clear_dead_locks(name)
    environment = setup.child_environment(ready) | {"SLIPWAY_LIVE_STACK": name}
    command = [str(VENV / "bin" / "python"), "-m", "pytest", "-p", "no:cacheprovider", "tests/live"]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode


def _obstacle(ready: setup.Ready, name: str, target: str) -> str:
    if name == "dev":
        return "name a stack of its own, whose settings have a cloud as target; dev is the one of `make up`"
    if not target:
        return f"there is no Pulumi.{name}.yaml with slipway:target. Write one (README, 'On a real cloud')"
    if target == "local":
        return "its target is local, which `make test` checks; set slipway:target to a cloud's"
    if ready.rig:
        return "this checkout runs on the rig's stand-ins; a real cloud needs Pulumi's official command line on PATH"
    if "CI" in os.environ:
        return "CI never makes what is billed"
    if stack.resources(name):
        return f"the stack holds something already, and the checks end with its destruction: `make down STACK={name}`"
    if "slipway:experiment: true" not in (CHECKOUT / f"Pulumi.{name}.yaml").read_text():
        return "set slipway:experiment: true in its settings, or what is protected would stay, and be billed"
    return ""


def _answer(name: str) -> str:
    given = os.environ.get("CONFIRM")
    if given is not None or not sys.stdin.isatty():
        return given or ""
    print(f"Type the name of the stack ({name}) to go on: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()
