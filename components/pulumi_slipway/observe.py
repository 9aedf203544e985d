"""Observe before deciding: what each server says is on it, asked anew in every preview and every up.

pulumi-command's resources cannot read, so the state file alone would not notice a rollback made on the server, an
edited file, or an `up` that was killed half-way. `observe` starts this module as a program (one process for all
hosts), which asks each agent over one connection. Pure functions turn the answer into the inputs of the steps:
a `serial` that stays what the server last recorded while all is as wanted, and is a new one when something has to be
done. A new one is the time, and not the last one plus one: a server that was wiped, or put back to an older disk,
would else get the very number that the state has already, and nothing would be done.

`python -m pulumi_slipway.observe`: `{"app": …, "wanted": {path: sha256}, "source": …, "hosts": [{"host": Host,
"private_key": …}, …]}` on stdin; `{"hosts": [Observation, …]}` in the same order on stdout. `source` names an archive
in this machine's cache: that of the live release is compared with it. With `database` in place of `app`, `wanted` and
`source`: DatabaseObservation; with `serving`: true or false.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict

from .leave import leave
from .places import AGENT

if TYPE_CHECKING:
    import pulumi

    from .remote import Target
    from .ssh import Connection

PATIENCE = 5.0
"""Seconds in which a refused connection is tried again: a network that blinks, an sshd that restarts or is overrun."""
TIMEOUT = 15.0
"""Seconds for each part of a host's answer: handshake, agent."""


class Changed(TypedDict):
    """Names: of files, or of packages with their versions."""

    added: list[str]
    changed: list[str]
    removed: list[str]


class SourceChanges(TypedDict):
    """What one source has that another one has not."""

    files: Changed
    packages: Changed


class Observation(TypedDict):
    """What one host says of one app. `error` is empty, or why nothing could be learnt (all else is then empty)."""

    error: str
    facts: dict[str, Any]
    agent: str
    machine: list[str]
    """What of the server itself is not as it was made: its firewall, sshd, units."""
    claimed: bool
    claim_serial: int
    release: str
    """Id of the live release; empty: none."""
    release_serial: int
    site_serial: int
    files: dict[str, str]
    """sha256 of each managed file as it is on the server."""
    edited: list[str]
    """Those that are not as they were written there."""
    texts: dict[str, str]
    """What is in those that are not as wanted."""
    damage: list[str]
    """What of the live release is not as it was made, or does not run."""
    commit: str
    """The live release's; empty where that is not known."""
    variables: dict[str, str]
    """Digests of the live release's variables by name; empty ones where only the names are known."""
    last: dict[str, str]
    """How the live release came to be live: `action` (release, rollback), `who`, `at`, `previous`."""
    changes: SourceChanges | None
    """What another source than the live release's would change; None: it is the same, or that cannot be told."""
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


def observe(
    targets: Sequence[Target], app: str, source: str, wanted: pulumi.Input[Mapping[str, str]]
) -> pulumi.Output[list[Observation]]:
    """Asks every target about `app`, whose managed files are to have the digests `wanted`, and whose source is the
    archive of that content; unknown, and nothing is run, while a host, a key or a file is not known yet."""
    return _answers({"app": app, "source": source, "wanted": wanted}, targets)


def observe_database(target: Target, database: str) -> pulumi.Output[DatabaseObservation]:
    """Asks a target about a database (`engine/name`) of its own; unknown, and nothing is run, while it is not known."""
    return _answers({"database": database}, [target]).apply(lambda hosts: hosts[0])


def observe_serving(target: Target) -> pulumi.Output[bool]:
    """Whether any app serves on a target, as far as that can be learnt; unknown while the target is."""
    return _answers({"serving": True}, [target]).apply(lambda hosts: bool(hosts[0]))


def _answers(question: Mapping[str, Any], targets: Sequence[Target]) -> pulumi.Output[list[Any]]:
    import pulumi

    from .remote import local_program, local_run

    hosts = [{"host": target.host, "private_key": target.private_key} for target in targets]
    answer = local_run(local_program("observe"), pulumi.Output.from_input({**question, "hosts": hosts}))
    return answer.apply(lambda text: list(json.loads(text)["hosts"]))


def check_observed(error: str, instead: str, subject: str = "") -> bool:
    """Whether a host could be asked. One that could not spoils an up, but not a preview, which is shown `instead`."""
    if not error:
        return True
    import pulumi

    message = f"{subject}: the" if subject else "The"
    message += f" server could not be observed: {error}."
    if not pulumi.runtime.is_dry_run():
        raise pulumi.RunError(f"{message} Make it reachable, or set observe to false to trust the last known state.")
    pulumi.log.warn(f"{message} {instead}")
    return False


def claim_serial(observed: Observation, _wanted: object, now: int) -> int:
    """The serial that makes the claim run exactly when the app has no users and folders on the server, or when the
    server itself is not as it was made."""
    whole = observed["claimed"] and not observed["machine"]
    return observed["claim_serial"] if whole else max(now, observed["claim_serial"] + 1)


def release_serial(observed: Observation, wanted: str, now: int) -> int:
    """The serial that makes the release step run exactly when `wanted` is not the live release, or not whole."""
    serial = observed["release_serial"]
    return serial if observed["release"] == wanted and not observed["damage"] else max(now, serial + 1)


def site_serial(observed: Observation, wanted: Mapping[str, str], now: int) -> int:
    """The serial that makes the site step run exactly when a managed file is not as `wanted` (path: sha256)."""
    serial = observed["site_serial"]
    return serial if not drift(observed, wanted) else max(now, serial + 1)


def drift(observed: Observation, wanted: Mapping[str, str]) -> list[str]:
    """The managed files that are missing, edited, or no longer wanted."""
    paths = wanted.keys() | observed["files"].keys()
    return sorted(path for path in paths if observed["files"].get(path) != wanted.get(path))


# ---------------------------------------------------------------------------------------------- the program


Follow = Callable[["Connection", Mapping[str, Any]], Any]
"""What else is to be done over the connection, once the answer is there; its result is put beside it."""


def _ask(
    host: Mapping[str, Any], private_key: str, question: Mapping[str, Any], follow: Follow | None = None
) -> tuple[str, dict[str, Any]]:
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
                if result.status != 0:
                    return f"{host['address']}: the agent failed: {result.stderr.strip()[-500:]}", {}
                answer = json.loads(result.stdout)
                return "", answer if follow is None else {**answer, "followed": follow(connection, answer)}
        except WrongHostKeyError as error:
            return str(error), {}
        except SshError as error:
            if time.monotonic() > patience:
                return str(error), {}
            time.sleep(0.5)


def _changes(app: str, source: str, connection: Connection, answer: Mapping[str, Any]) -> SourceChanges | None:
    """What the archive `source` would change of the live release's: by this machine's own copy of that, or else by
    what the server says of it."""
    # late: with nothing to compare, an answer is had in less time without these
    from .agent.manifest import manifest
    from .app.archive import cached_archive
    from .app.plan import compare

    live = ((answer["apps"].get(app) or {}).get("source") or {}).get("content")
    if not live or live == source:
        return None
    wanted = manifest(cached_archive(source))
    try:
        found = manifest(cached_archive(live))
    except FileNotFoundError:
        result = connection.run(f"sudo -n {AGENT} source", stdin=json.dumps({"app": app}), timeout=TIMEOUT)
        found = json.loads(result.stdout) if result.status == 0 else {}
    return compare(found, wanted) if "files" in found else None


def _of_app(answer: Mapping[str, Any], app: str) -> Observation:
    found = answer["apps"].get(app) or {}
    site, source = found.get("site") or {}, found.get("source") or {}
    return Observation(
        error="",
        facts=answer["facts"],
        agent=answer["agent"],
        machine=answer.get("machine") or [],
        claimed=bool(found.get("claimed")),
        claim_serial=found.get("claim_serial") or 0,
        release=found.get("live") or "",
        release_serial=found.get("serial") or 0,
        site_serial=site.get("serial") or 0,
        files=site.get("files") or {},
        edited=site.get("edited") or [],
        texts=site.get("texts") or {},
        damage=found.get("damage") or [],
        commit=source.get("commit") or "",
        variables=source.get("variables") or {},
        last=found.get("last") or {},
        changes=answer.get("followed"),
        database=found.get("database") or {},
    )


def _nothing(error: str) -> Observation:
    return Observation(
        error=error,
        facts={},
        agent="",
        machine=[],
        claimed=False,
        claim_serial=0,
        release="",
        release_serial=0,
        site_serial=0,
        files={},
        edited=[],
        texts={},
        damage=[],
        commit="",
        variables={},
        last={},
        changes=None,
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
    if database:
        error, answer = _ask(entry["host"], entry["private_key"], {"databases": [database]})
        nothing = DatabaseObservation(error=error, present=False, serial=0, kept=False)
        return nothing if error else _of_database(answer, database)
    app = request["app"]
    follow = partial(_changes, app, request["source"])
    error, answer = _ask(entry["host"], entry["private_key"], {"apps": [app], "wanted": request["wanted"]}, follow)
    return _nothing(error) if error else _of_app(answer, app)


def main() -> int:
    request = json.load(sys.stdin)
    with ThreadPoolExecutor(max_workers=16) as pool:
        answers = list(pool.map(lambda entry: _observation(entry, request), request["hosts"]))
    print(json.dumps({"hosts": answers}))
    return 0


if __name__ == "__main__":
    leave(main())
