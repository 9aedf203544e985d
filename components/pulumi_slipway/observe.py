"""Observe before deciding: what each server says is on it, asked anew in every preview and every up.

pulumi-command's resources cannot read, so the state file alone would not notice a rollback made on the server, an
edited file, or an `up` that was killed half-way. `observe` starts this module as a program (one process for all
hosts), which asks each agent over one connection. Pure functions turn the answer into the inputs of the steps:
a `serial` that stays what the server last recorded while all is as wanted, and is a new one when something has to be
done. A new one is the time, and not the last one plus one: a server that was wiped, or put back to an older disk,
would else get the very number that the state has already, and nothing would be done.

`python -m pulumi_slipway.observe`: `{"app": …, "hosts": [{"host": Host, "private_key": …}, …]}` on stdin;
`{"hosts": [Observation, …]}` in the same order on stdout. With `database` in place of `app`: DatabaseObservation; with
`serving`: true or false.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypedDict

from .places import AGENT

if TYPE_CHECKING:
    import pulumi

    from .remote import Target

PATIENCE = 5.0
"""Seconds in which a refused connection is tried again: a network that blinks, an sshd that restarts or is overrun."""
TIMEOUT = 15.0
"""Seconds for each part of a host's answer: handshake, agent."""


class Observation(TypedDict):
    """What one host says of one app. `error` is empty, or why nothing could be learnt (all else is then empty)."""

    error: str
    facts: dict[str, Any]
    agent: str
    claimed: bool
    claim_serial: int
    release: str
    """Id of the live release; empty: none."""
    release_serial: int
    site_serial: int
    files: dict[str, str]
    """sha256 of each managed file as it is on the server."""
    database: dict[str, Any]
    """`engine`, `host` and `name` of the live release's, and whether it is `empty`; nothing when that is not known."""


class DatabaseObservation(TypedDict):
    """What one host says of a database on it."""

    error: str
    """Empty, or why nothing could be learnt."""
    present: bool
    serial: int
    kept: bool
    """It was given up, and its rows are there."""


def observe(targets: Sequence[Target], app: str) -> pulumi.Output[list[Observation]]:
    """Asks every target about `app`; unknown, and nothing is run, while a host or key is not known yet."""
    return _answers({"app": app}, targets)


def observe_database(target: Target, database: str) -> pulumi.Output[DatabaseObservation]:
    """Asks a target about a database (`engine/name`) of its own; unknown, and nothing is run, while it is not known."""
    return _answers({"database": database}, [target]).apply(lambda hosts: hosts[0])


def observe_serving(target: Target) -> pulumi.Output[bool]:
    """Whether any app serves on a target, as far as that can be learnt; unknown while the target is."""
    return _answers({"serving": True}, [target]).apply(lambda hosts: bool(hosts[0]))


def _answers(question: Mapping[str, str | bool], targets: Sequence[Target]) -> pulumi.Output[list[Any]]:
    import pulumi

    from .remote import local_program, local_run

    hosts = [{"host": target.host, "private_key": target.private_key} for target in targets]
    answer = local_run(local_program("observe"), pulumi.Output.from_input({**question, "hosts": hosts}))
    return answer.apply(lambda text: list(json.loads(text)["hosts"]))


def claim_serial(observed: Observation, _wanted: object, now: int) -> int:
    """The serial that makes the claim run exactly when the app has no users and folders on the server."""
    return observed["claim_serial"] if observed["claimed"] else now


def release_serial(observed: Observation, wanted: str, now: int) -> int:
    """The serial that makes the release step run exactly when `wanted` is not the live release."""
    serial = observed["release_serial"]
    return serial if observed["release"] == wanted else max(now, serial + 1)


def site_serial(observed: Observation, wanted: Mapping[str, str], now: int) -> int:
    """The serial that makes the site step run exactly when a managed file is not as `wanted` (path: sha256)."""
    serial = observed["site_serial"]
    return serial if not drift(observed, wanted) else max(now, serial + 1)


def drift(observed: Observation, wanted: Mapping[str, str]) -> list[str]:
    """The managed files that are missing, edited, or no longer wanted."""
    paths = wanted.keys() | observed["files"].keys()
    return sorted(path for path in paths if observed["files"].get(path) != wanted.get(path))


# ---------------------------------------------------------------------------------------------- the program


def _ask(host: Mapping[str, Any], private_key: str, question: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What the agent answers; or why there is no answer."""
    from .ssh import SshError, WrongHostKeyError, connect

    command = f"sudo -n {AGENT} observe"
    patience = time.monotonic() + PATIENCE
    while True:
        try:
            with connect(
                host["address"], host["port"], host["user"], private_key, [host["host_key"]], timeout=TIMEOUT
            ) as connection:
                result = connection.run(command, stdin=json.dumps(question), timeout=TIMEOUT)
            break
        except WrongHostKeyError as error:
            return str(error), {}
        except SshError as error:
            if time.monotonic() > patience:
                return str(error), {}
            time.sleep(0.5)
    if result.status != 0:
        return f"{host['address']}: the agent failed: {result.stderr.strip()[-500:]}", {}
    return "", json.loads(result.stdout)


def _of_app(answer: Mapping[str, Any], app: str) -> Observation:
    found = answer["apps"].get(app) or {}
    site = found.get("site") or {}
    return Observation(
        error="",
        facts=answer["facts"],
        agent=answer["agent"],
        claimed=bool(found.get("claimed")),
        claim_serial=found.get("claim_serial") or 0,
        release=found.get("live") or "",
        release_serial=found.get("serial") or 0,
        site_serial=site.get("serial") or 0,
        files=site.get("files") or {},
        database=found.get("database") or {},
    )


def _nothing(error: str) -> Observation:
    return Observation(
        error=error,
        facts={},
        agent="",
        claimed=False,
        claim_serial=0,
        release="",
        release_serial=0,
        site_serial=0,
        files={},
        database={},
    )


def _of_database(answer: Mapping[str, Any], database: str) -> DatabaseObservation:
    found = answer.get("databases", {}).get(database, {})  # an agent that is to be upgraded knows of none
    return DatabaseObservation(
        error="",
        present=found.get("present", False),
        serial=found.get("serial", 0),
        kept=found.get("kept", False),
    )


def _observation(entry: Mapping[str, Any], request: Mapping[str, Any]) -> Observation | DatabaseObservation | bool:
    if request.get("serving"):
        return bool(_ask(entry["host"], entry["private_key"], {"serving": True})[1].get("serving"))
    database = request.get("database")
    question = {"databases": [database]} if database else {"apps": [request["app"]]}
    error, answer = _ask(entry["host"], entry["private_key"], question)
    if database:
        nothing = DatabaseObservation(error=error, present=False, serial=0, kept=False)
        return nothing if error else _of_database(answer, database)
    return _nothing(error) if error else _of_app(answer, request["app"])


def main() -> int:
    request = json.load(sys.stdin)
    with ThreadPoolExecutor(max_workers=16) as pool:
        answers = list(pool.map(lambda entry: _observation(entry, request), request["hosts"]))
    print(json.dumps({"hosts": answers}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
