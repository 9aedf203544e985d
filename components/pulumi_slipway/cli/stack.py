"""The server of a stack, from its outputs, and its agent."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..host import Host
from ..places import AGENT
from ..ssh import SshError, connect

_NEEDED = ("app", "host", "deploy_key")
_LONGEST = 3600.0
"""Seconds that a command of the agent may take; it has limits of its own for each part."""


class StackError(Exception):
    """The stack cannot be read, or its server does not do what it was asked; the message is for people."""


@dataclass(frozen=True)
class Reach:
    """How to reach the app of a stack on its server."""

    app: str
    host: Host
    private_key: str

    def ask(
        self, subcommand: str, document: Mapping[str, Any] | None = None, progress: Callable[[str], None] | None = None
    ) -> dict[str, Any]:
        """The agent's answer to `subcommand` about this app; its progress, line by line, goes to `progress`.

        Raises `StackError` with what the agent said, or why it could not be asked.
        """
        request = json.dumps({"app": self.app, **(document or {})})
        host = self.host
        try:
            with connect(
                host["address"], host["port"], host["user"], self.private_key, [host["host_key"]]
            ) as connection:
                result = connection.run(f"sudo -n {AGENT} {subcommand}", request, timeout=_LONGEST, progress=progress)
        except SshError as error:
            raise StackError(str(error)) from error
        answer = _object(result.stdout)
        if result.status != 0 or not answer.get("ok"):
            raise StackError(str(answer.get("error") or result.stderr.strip()[-500:] or "the agent gave no answer"))
        return answer


def reach(stack: str | None, folder: Path) -> Reach:
    """What the outputs of `stack` (None: the selected one) of the Pulumi project in `folder` say."""
    command = ["pulumi", "stack", "output", "--json", "--show-secrets", "--cwd", str(folder)]
    try:
        done = subprocess.run(
            [*command, *(["--stack", stack] if stack else [])], capture_output=True, text=True, check=False, timeout=120
        )
    except FileNotFoundError:
        raise StackError(
            "the program `pulumi` is not on the PATH; in a checkout of Slipway: "
            'eval "$(make -s env)"; else install it from pulumi.com'
        ) from None
    except subprocess.TimeoutExpired:
        raise StackError("`pulumi stack output` did not end within 120 s") from None
    if done.returncode != 0:
        raise StackError(f"the outputs of the stack cannot be read: {done.stderr.strip()}")
    outputs = _object(done.stdout)
    missing = [name for name in _NEEDED if name not in outputs]
    if missing:
        raise StackError(
            f"the stack has no output {' and '.join(missing)}: run `pulumi up` first; a program of your own exports "
            "app (webapp.name), host (server.host) and deploy_key (server.private_key)"
        )
    return Reach(outputs["app"], outputs["host"], outputs["deploy_key"])


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
