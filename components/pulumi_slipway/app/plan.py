"""What a preview says of what is about to happen on a server, and of what happened there since: pure functions.

All of it is bounded: a preview is read by people. Nothing is said while nothing changes.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..observe import Changed, Observation, SourceChanges, drift
from .origin import Origin

NAMES = 8
"""Files, variables or packages that are named."""
LINES = 40
"""Lines of the difference between two versions of a file."""

_PSEUDO = {
    "certificate": "its certificate is missing on the server, and will be made anew",
    "interrupted": "an interrupted change of its site will be finished",
    "processes": "its processes were started with an older configuration, and will be started anew",
}
"""What the agent tells of a site besides its files."""


def compare(old: Mapping[str, Mapping[str, str]], new: Mapping[str, Mapping[str, str]]) -> SourceChanges:
    """How the source `new` differs from `old`; both as `manifest` has them."""
    return {
        "files": changed(old["files"], new["files"]),
        "packages": _packages(old["packages"], new["packages"]),
    }


def changed(old: Mapping[str, str], new: Mapping[str, str]) -> Changed:
    """The names whose values differ."""
    return {
        "added": sorted(new.keys() - old.keys()),
        "changed": sorted(name for name in new.keys() & old.keys() if new[name] != old[name]),
        "removed": sorted(old.keys() - new.keys()),
    }


def _packages(old: Mapping[str, str], new: Mapping[str, str]) -> Changed:
    found = changed(old, new)
    return {
        "added": [f"{name} {new[name]}".strip() for name in found["added"]],
        "changed": [f"{name} {old[name] or '(any)'} → {new[name] or '(any)'}" for name in found["changed"]],
        "removed": found["removed"],
    }


def fingerprints(variables: Mapping[str, str], key: str) -> dict[str, str]:
    """A digest of each variable under a secret key of the stack: it tells that a value changed, and nothing else."""
    return {
        name: hmac.new(key.encode(), f"{name}\0{value}".encode(), hashlib.sha256).hexdigest()[:16]
        for name, value in variables.items()
    }


def release_plan(
    app: str,
    observed: Observation,
    wanted: str,
    variables: Mapping[str, str],
    origin: Origin,
    commits: int | None,
) -> list[str]:
    """What releasing `wanted` changes, in lines; none when it is live, and whole.

    `variables` are the fingerprints of those it will have, `commits` how many lead from the live release to it.
    """
    live = observed["release"]
    lines = _rolled_back(observed) if live != wanted else []
    if live == wanted:
        if observed["damage"]:
            lines = [f"{wanted} on the server is not as it was made, and is mended: {_some(observed['damage'])}"]
    elif not live:
        lines.append(f"release {wanted}, the first one here{_of_commit(origin)}")
    else:
        lines.append(f"release {live} → {wanted}{_of_commit(origin, commits)}")
        changes = observed["changes"]
        if changes is not None:
            lines += _told("files", changes["files"], counted=True)
        if observed["variables"]:
            lines += _told("variables", _variables(observed["variables"], variables))
        if changes is not None:
            lines += _told("dependencies", changes["packages"])
    return [f"{app}: {lines[0]}", *(f"  {line}" for line in lines[1:])] if lines else []


def first_plan(app: str, files: int, origin: Origin) -> list[str]:
    """What will be released to a server that is still to be made."""
    return [f"{app}: a first release of {files} files on a new server{_of_commit(origin)}"]


def site_plan(app: str, observed: Observation, wanted: Mapping[str, tuple[str, str]]) -> list[str]:
    """What is put right on the server itself, and what the site step changes: each managed file with its difference.
    `wanted`: digest and text by path."""
    lines = [f"{app}: on the server, {what}; it will be put right" for what in observed["machine"]]
    if not observed["files"]:  # nothing was written there yet: the site is as new as its server
        return lines
    for path in drift(observed, {path: digest for path, (digest, _) in wanted.items()}):
        if path in _PSEUDO:
            lines.append(f"{app}: {_PSEUDO[path]}")
            continue
        if path not in observed["files"]:
            what = "is new"
        elif not observed["files"][path]:
            what = "is missing on the server, and will be written anew"
        elif path in observed["edited"]:
            what = "was edited on the server, and will be put right"
        elif path not in wanted:
            what = "is not wanted any more, and will be removed"
        else:
            what = "changes"
        lines.append(f"{app}: {path} {what}")
        if path in wanted and path in observed["texts"]:
            lines += _difference(observed["texts"][path], wanted[path][1])
    return lines


def _difference(old: str, new: str) -> list[str]:
    told = [line.rstrip("\n") for line in difflib.unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm="")]
    shown = [f"    {line}"[:160] for line in told[2:]]
    return shown[:LINES] + ([f"    … {len(shown) - LINES} more lines"] if len(shown) > LINES else [])


def _rolled_back(observed: Observation) -> list[str]:
    last = observed["last"]
    if last.get("action") != "rollback":
        return []
    left = f", from {last['previous']}," if last.get("previous") else ""
    by = f" by {last['who']}" if last.get("who") else ""
    return [f"rolled back on the server to {observed['release']}{left}{by} at {last.get('at', 'an unknown time')}"]


def _of_commit(origin: Origin, commits: int | None = None) -> str:
    if not origin.commit:
        return ""
    subject = origin.subject if len(origin.subject) <= 72 else f"{origin.subject[:71]}…"
    distance = ""
    if commits:
        plural = "" if abs(commits) == 1 else "s"
        distance = f", {abs(commits)} commit{plural} {'further' if commits > 0 else 'back'}"
    dirty = ", with uncommitted changes" if origin.dirty else ""
    return f": {subject} ({origin.commit[:9]}{distance}{dirty})"


def _variables(old: Mapping[str, str], new: Mapping[str, str]) -> Changed:
    """By name. Of a release of an earlier version the names are known, and no digests."""
    found = changed(old, new)
    return {**found, "changed": [name for name in found["changed"] if old[name]]}


def _told(what: str, found: Changed, counted: bool = False) -> list[str]:
    """One line, or none: `files: 2 changed (a, b), 1 new (c)`."""
    parts = []
    for key, word in (("changed", "changed"), ("added", "new"), ("removed", "removed")):
        names: Sequence[str] = found[key]  # type: ignore[literal-required]
        if names:
            parts.append(f"{len(names)} {word} ({_some(names)})" if counted else f"{word} {_some(names)}")
    return [f"{what}: {', '.join(parts) if counted else '; '.join(parts)}"] if parts else []


def _some(names: Iterable[Any]) -> str:
    found = [str(name) for name in names]
    more = len(found) - NAMES
    return ", ".join(found[:NAMES]) + (f" and {more} more" if more > 0 else "")
