"""The one place where commands on servers (and on the operator's machine) become Pulumi resources.

Two kinds run on a server, both by the agent, both with a document on stdin that Pulumi keeps as a secret:

- a **step** is idempotent and has no delete. A change of its inputs is an update, which runs it again; if that fails,
  the old state stays, and reverting the source is clean.
- a **presence** claims something when created, and gives it up when deleted.

`triggers` is the host's id, for a presence also what it claims, and never content: a changed trigger *replaces*, that
is, runs the new `create` and then the old `delete`. Nothing is asked of a machine that goes itself (`deleted_with`).
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_random as random
from pulumi_command import local, remote

from .agent_bundle import agent_digest
from .host import Host
from .places import AGENT

DIAL_TIMEOUT = 15
"""Seconds for one TCP connection attempt of pulumi-command."""
DIAL_RETRIES = 3
"""The host was ready a moment ago: more tries only hide a wrong host key, which is retried like any other error."""


@dataclass(frozen=True)
class Target:
    """A server as the steps on it need it."""

    host: pulumi.Output[Host]
    private_key: pulumi.Output[str]
    machine: pulumi.Resource | None = None
    """The machine resource: what is on it need not be removed when it goes. None: the machine is not ours."""

    @property
    def id(self) -> pulumi.Output[str]:
        return self.host.apply(lambda host: host["id"])

    @property
    def connection(self) -> pulumi.Output[remote.ConnectionArgs]:
        def build(values: Sequence[Any]) -> remote.ConnectionArgs:
            host, private_key = values
            if host["proxy"]:
                raise ValueError(f"host {host['name']!r}: a proxy ({host['proxy']!r}) is not supported yet")
            return remote.ConnectionArgs(
                host=host["address"],
                port=host["port"],
                user=host["user"],
                private_key=private_key,
                host_key=host["host_key"],
                dial_error_limit=DIAL_RETRIES,
                per_dial_timeout=DIAL_TIMEOUT,
            )

        return pulumi.Output.secret(pulumi.Output.all(self.host, self.private_key).apply(build))

    def options(self, parent: pulumi.Resource, depends_on: Sequence[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=parent,
            depends_on=list(depends_on),
            deleted_with=self.machine,
            additional_secret_outputs=["stderr"],  # it is shown as it comes; what an app says has no place in the state
        )


def agent(name: str, target: Target, parent: pulumi.Resource) -> local.Command:
    """This package's version of the agent (see `bring.py`), which the other steps are run by.

    Named by its digest: on stdin, as the document of a step, it would be most of what the state holds.
    """
    return local_command(
        name,
        create=_with_summary(local_program("bring"), agent_digest()[:12]),
        document={"host": target.host, "private_key": target.private_key},
        triggers=[target.id],
        opts=target.options(parent),
    )


def step(
    name: str,
    target: Target,
    subcommand: str,
    *,
    summary: pulumi.Input[str],
    document: pulumi.Input[Mapping[str, Any]],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource] = (),
) -> remote.Command:
    """Runs the agent's `subcommand` with `document` now, and again whenever either or `summary` changes.

    `summary` is what a preview shows: ids, names, counts, never a value that is secret.
    """
    return _agent_resource(name, target, subcommand, None, [target.id], summary, document, parent, depends_on)


def presence(
    name: str,
    target: Target,
    claim: str,
    give_up: str,
    *,
    subject: str,
    summary: pulumi.Input[str],
    document: pulumi.Input[Mapping[str, Any]],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource] = (),
) -> remote.Command:
    """Runs the agent's `claim` with `document` when created, `give_up` with the same document when deleted.

    Another `subject` (the name of what is claimed) is another claim: the new one is made, then the old one given up.

    A stack that went from a host to another one and comes back, since the rest failed there, has both claims on the
    first host: that of before, which Pulumi is still to give up, and the new one. The `turn` in the document tells
    them apart: the agent gives up a claim only for the turn that made it.
    """
    triggers: list[pulumi.Input[str]] = [target.id, subject]
    turn = random.RandomId(
        f"{name}-turn",
        byte_length=4,
        keepers={"host": target.id, "subject": subject},
        opts=pulumi.ResourceOptions(parent=parent),
    ).hex
    told = pulumi.Output.all(document, turn).apply(lambda pair: {**pair[0], "turn": pair[1]})
    return _agent_resource(name, target, claim, give_up, triggers, summary, told, parent, depends_on)


def push(
    name: str,
    target: Target,
    subcommand: str,
    *,
    file: Mapping[str, pulumi.Input[str]],
    summary: pulumi.Input[str],
    document: pulumi.Input[Mapping[str, Any]],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource] = (),
) -> local.Command:
    """A step that brings a file along (see `push.py`): both succeed, or the state stays as it was."""
    request = {
        "host": target.host,
        "private_key": target.private_key,
        "file": file,
        "subcommand": subcommand,
        "document": document,
    }
    return local_command(
        name,
        create=_with_summary(local_program("push"), summary),
        document=request,
        triggers=[target.id],
        opts=target.options(parent, depends_on),
    )


def local_program(module: str, *arguments: str) -> str:
    """The command line that runs `module` of this package with this Python, on the operator's machine.

    The interpreter is named relative to the project where it lies inside, so that the state does not depend on where
    a checkout is (pulumi-command runs in the project's folder).
    """
    return shlex.join([_python(), "-m", f"pulumi_slipway.{module}", *arguments])


def local_command(
    name: str,
    *,
    create: pulumi.Input[str],
    delete: pulumi.Input[str] | None = None,
    document: pulumi.Input[Mapping[str, Any]] | None = None,
    stdin: pulumi.Input[str] | None = None,
    triggers: Sequence[pulumi.Input[Any]] = (),
    remembers: bool = False,
    opts: pulumi.ResourceOptions,
) -> local.Command:
    """A program of this package as a resource; `document` or `stdin` is kept as a secret.

    One that `remembers` finds, when it runs again, what it printed last (see `previous.py`).
    """
    return local.Command(
        name,
        create=create,
        delete=delete,
        stdin=_as_stdin(document) if document is not None else pulumi.Output.secret(stdin or ""),
        triggers=list(triggers),
        logging=local.Logging.STDERR,
        add_previous_output_in_env=remembers,
        opts=opts,
    )


def local_run(
    command: pulumi.Input[str], document: pulumi.Input[Mapping[str, Any]] | None = None
) -> pulumi.Output[str]:
    """Runs a program of this package in each preview and each up, and gives its stdout.

    It is started only once all it needs is known. Its answer must hold no secret: it is not treated as one, though
    the document on stdin is.
    """
    result = local.run_output(
        command=command,
        stdin=_as_stdin(document) if document is not None else None,
        logging=local.Logging.NONE,
        add_previous_output_in_env=False,
    )
    return pulumi.Output.unsecret(result.apply(lambda run: run.stdout))


def _agent_resource(
    name: str,
    target: Target,
    create: str,
    delete: str | None,
    triggers: Sequence[pulumi.Input[str]],
    summary: pulumi.Input[str],
    document: pulumi.Input[Mapping[str, Any]],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> remote.Command:
    return remote.Command(
        name,
        connection=target.connection,
        create=_agent_command(create, summary),
        delete=_agent_command(delete, summary) if delete else None,
        stdin=_as_stdin(document),
        triggers=list(triggers),
        logging=remote.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=target.options(parent, depends_on),
    )


def _agent_command(subcommand: str, summary: pulumi.Input[str]) -> pulumi.Output[str]:
    return _with_summary(f"sudo -n {AGENT} {subcommand}", summary)


def _with_summary(command: str, summary: pulumi.Input[str]) -> pulumi.Output[str]:
    """The command with a comment for whoever reads the preview; no text can end the comment."""
    return pulumi.Output.from_input(summary).apply(lambda text: f"{command}  # {' '.join(text.split())}")


def _as_stdin(document: pulumi.Input[Mapping[str, Any]]) -> pulumi.Output[str]:
    return pulumi.Output.secret(pulumi.Output.json_dumps(document, sort_keys=True))


def _python() -> str:
    executable, project = Path(sys.executable), Path.cwd()
    if executable.is_relative_to(project):
        return os.fspath(executable.relative_to(project))
    return os.fspath(executable)
