"""`python -m pulumi_slipway.adopt claim|give-back`: a machine that somebody has already becomes a server, and is given
back as it was.

Started by the adopt command of an `ExistingServer`. One JSON document on stdin (it holds secrets), progress on stderr;
`claim` prints one line with facts of the machine. Both may be run again at any time.

`claim`: log in pinned to the machine's own host key, look whether it can be supported, and have the agent write down
what is there and set it up. Then log in anew by the deploy key. With `harden`, sshd and the firewall are closed on
trial, and it is two more fresh logins that confirm it. A claim that fails before its end is taken back at once.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from . import adopt_probe
from .adopt_probe import UnsupportedError
from .adopt_root import Agent, AgentFailedError, become_root, brought
from .bootstrap import DEPLOY_USER, Guesthouse, render_adoption_script, render_hardening_script
from .firewall import FirewallRule
from .places import AGENT
from .ssh import Connection, RefusedKeyError, SshError, WrongHostKeyError, agent_keys, connect, say

PATIENCE = 30.0
"""Seconds in which a machine that does not answer is asked again: it may just be starting."""
TRIAL = 120
"""Seconds after which a hardening that no fresh login has confirmed is taken back."""
CONFIRM_WITHIN = 45.0
GIVE_BACK_WITHIN = 1200.0
UNREACHABLE = "SLIPWAY_DELETE_UNREACHABLE"
"""The variable that lets Pulumi forget a machine that is gone for good."""

_KEEPALIVE = 20
_PAUSE = 1.0


class NotAdoptedError(Exception):
    """The machine did not become a server; the message says why and what became of it."""


@dataclass(frozen=True)
class Request:
    """What both commands are told."""

    address: str
    port: int
    user: str
    private_key: str
    """OpenSSH text; empty: the keys of the running ssh-agent."""
    sudo_password: str
    host_key: str
    owner: str
    """Whose stay it is: each stack has its own."""
    deploy_private: str
    deploy_public: str
    harden: bool
    other_sites: bool
    firewall: list[dict[str, Any]]
    package_index: str | None
    proxy: str | None
    timeout: float

    def guesthouse(self, ports: list[int]) -> Guesthouse:
        """What the scripts for the machine depend on; `ports` are those of its sshd, whichever way leads there."""
        default = FirewallRule("ssh", 22)
        given = (
            FirewallRule(rule["name"], rule["port"], rule["protocol"], tuple(rule["sources"])) for rule in self.firewall
        )
        others = [rule for rule in given if rule != default]
        return Guesthouse(
            other_sites=self.other_sites,
            harden=self.harden,
            root_login=self.user == "root",
            firewall=[*(FirewallRule("ssh", port) for port in ports), *others],
            package_index=self.package_index,
            proxy=self.proxy,
        )


def claim(request: Request) -> dict[str, Any]:
    """What the machine is; raises `NotAdoptedError`, `UnsupportedError` or `SshError`."""
    with _agent(request) as agent:
        try:
            answer = _set_up(request, agent)
            _greet(request)
            if request.harden:
                _harden(request, agent, answer["ports"])
            else:
                agent("soften", {})
            agent("settle", {"owner": request.owner})
        except (AgentFailedError, NotAdoptedError, SshError) as error:
            # a stay that had come to its beginning is not ended by an `up` that fails
            with suppress(AgentFailedError, SshError):
                document = {"owner": request.owner, "user": request.user, "unless_settled": True}
                agent("give-back", document, timeout=GIVE_BACK_WITHIN)
            raise NotAdoptedError(str(error)) from error
    say(f"{request.address} is ready")
    return {key: answer["facts"][key] for key in ("os", "machine", "memory_mb")}


def give_back(request: Request) -> None:
    """Ends the stay; raises `NotAdoptedError`, `UnsupportedError` or `SshError`."""
    try:
        with _agent(request) as agent:
            agent("give-back", {"owner": request.owner, "user": request.user}, timeout=GIVE_BACK_WITHIN)
    except WrongHostKeyError as error:
        say(f"warning: {error}")
        say(
            "The machine that was set up is not there any more (installed anew, perhaps): nothing is left to give back."
        )
    except AgentFailedError as error:
        raise NotAdoptedError(f"the machine was not given back: {error}") from error
    except SshError as error:
        if os.environ.get(UNREACHABLE, "").lower() in ("1", "true", "yes"):
            say(f"warning: {error}: forgotten without being given back, since {UNREACHABLE} is set")
            return
        raise NotAdoptedError(
            f"{error}. The machine was not given back: make it reachable, and run this again. If it is gone for good, "
            f"run this again with {UNREACHABLE}=true in the environment"
        ) from error


@contextmanager
def _agent(request: Request) -> Iterator[Agent]:
    with _logged_in(request) as connection:
        connection.transport.set_keepalive(_KEEPALIVE)
        probe = adopt_probe.ask(connection)
        adopt_probe.check(probe, request.user)
        root = become_root(connection, probe, request.user, request.sudo_password)
        with brought(root, request.timeout) as agent:
            yield agent


@contextmanager
def _logged_in(request: Request) -> Iterator[Connection]:
    """A connection as the user of the machine's owner; a machine that just starts is waited for."""
    patience = time.monotonic() + PATIENCE
    with ExitStack() as stack:
        while True:
            try:
                connection = stack.enter_context(_connect(request))
                break
            except (WrongHostKeyError, RefusedKeyError):
                raise
            except SshError:
                if time.monotonic() > patience:
                    raise
                time.sleep(_PAUSE)
        yield connection


def _connect(request: Request) -> AbstractContextManager[Connection]:
    key = request.private_key or agent_keys()
    return connect(request.address, request.port, request.user, key, [request.host_key])


def _set_up(request: Request, agent: Agent) -> dict[str, Any]:
    machine = request.guesthouse([])
    document = {
        "owner": request.owner,
        "key": request.deploy_public,
        "other_sites": request.other_sites,
        "script": render_adoption_script(machine),
        "rules": [rule.for_agent() for rule in machine.firewall],
        "timeout": int(request.timeout),
    }
    return agent("adopt", document, timeout=request.timeout + 60)


def _greet(request: Request) -> None:
    """Raises `NotAdoptedError` unless releases can log in."""
    try:
        _as_deploy(request, "observe")
    except (SshError, AgentFailedError) as error:
        raise NotAdoptedError(
            f"the machine is set up, but does not let {DEPLOY_USER} in: {error}. Look at AllowUsers and AllowGroups in "
            "its /etc/ssh/sshd_config, and at /etc/security/access.conf"
        ) from error


def _harden(request: Request, agent: Agent, ports: list[int]) -> None:
    """Raises `NotAdoptedError` when a fresh login does not get in; then all is open as it was before."""
    script = render_hardening_script(request.guesthouse(ports))
    if not agent("harden", {"script": script, "within": TRIAL})["on_trial"]:
        return
    deadline = time.monotonic() + CONFIRM_WITHIN
    while True:
        try:
            with _connect(request) as fresh:
                fresh.run("true", timeout=15)
            _as_deploy(request, "confirm")
        except (SshError, AgentFailedError) as error:
            if time.monotonic() < deadline:
                time.sleep(_PAUSE)
                continue
            with suppress(SshError, AgentFailedError):  # the old connection may be open still; else the timer does it
                agent("take-back", {})
            raise NotAdoptedError(
                f"harden: a fresh login was refused ({error}), so sshd and the firewall are as they were before, or "
                f"will be within {TRIAL} s. Look at the list of firewall rules and at the port of sshd"
            ) from error
        else:
            say("fresh logins got in: the hardening stays")
            return


def _as_deploy(request: Request, subcommand: str) -> None:
    with connect(request.address, request.port, DEPLOY_USER, request.deploy_private, [request.host_key]) as connection:
        result = connection.run(f"sudo -n {AGENT} {subcommand}", "{}", timeout=60)
        if result.status != 0:
            raise AgentFailedError(result.stderr.strip())


def main() -> int:
    commands = ("claim", "give-back")
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        say(f"usage: python -m pulumi_slipway.adopt {'|'.join(commands)} < request.json")
        return 2
    request = Request(**json.load(sys.stdin))
    try:
        if sys.argv[1] == "claim":
            print(json.dumps(claim(request)))
        else:
            give_back(request)
    except (NotAdoptedError, UnsupportedError, AgentFailedError, SshError) as error:
        say(f"error: {request.address}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
