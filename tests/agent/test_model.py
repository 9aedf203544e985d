"""Random sequences of what may happen to an app's releases, each on a server of its own, against a model.

Whatever happened: the release that serves is the one that the journal says, with its own code and variables; rows stay;
and what an `up` does next ends with its release serving. What is real of these servers and what is not is told in
`sandbox.py`.

The sequences are the same ones each time: `SLIPWAY_SEED=…` takes others, `SLIPWAY_SEQUENCES=…` more of them.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from pulumi_slipway.observe import release_serial
from tests.agent.sandbox import APP, OWNER
from tests.agent.sandboxed import Sandbox, sandbox
from tests.agent.server import pack

SEED = int(os.environ.get("SLIPWAY_SEED", "1"))
SEQUENCES = int(os.environ.get("SLIPWAY_SEQUENCES", "200"))
STEPS = 5
"""Of a sequence, at most."""
_die = st.none() | st.integers(1, 100) | st.integers(80, 100)
"""When the agent is killed, in percent of the changes to the disk that a release consists of; what comes with the
decision is in the last fifth. (Of what has fewer of them, a late one is none.)"""


@dataclass(frozen=True)
class Release:
    """One that was asked for."""

    id: str
    text: str
    greeting: str
    broken: str | None
    """"import", "health" or "migration"."""

    def request(self, server: Sandbox, serial: int) -> dict[str, Any]:
        code = pack({"app.json": json.dumps({"text": self.text, "broken": self.broken})})
        migration = "exit 1" if self.broken == "migration" else f'echo {self.id} >> "$HOME/data/rows"'
        return {
            "app": APP,
            "owner": OWNER,
            "release": self.id,
            "serial": serial,
            "archive": server.ask("upload", data=base64.b64encode(code).decode()),
            "environment": {"GREETING": self.greeting},
            "commands": {"release": [migration]},
            "web": {"kind": "command", "command": "app"},
            "health": {"path": "/", "timeout": 0.4},
            "drain": 5,
            "keep": 3,
        }


class Releases(RuleBasedStateMachine):
    """What may happen, and what has to be true of the server then."""

    server: Sandbox
    moments: int
    """How many changes to the disk a release consists of."""
    seen: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.server.reset()
        self.seen["sequences"] += 1
        self.asked: list[Release] = []
        self.live: Release | None = None
        self.good: set[Release] = set()
        """Those that served and were not rolled back from."""
        self.doubtful: set[Release] = set()
        """Those of them that a rollback was to leave when it was killed."""
        self.rows: list[str] = []
        self.observed = self.server.observe()

    # ------------------------------------------------------------------------------------------- what may happen

    @rule(broken=st.sampled_from([None, None, None, "import", "health", "migration"]), die=_die)
    def new_code(self, broken: str | None, die: int | None) -> None:
        self._release(self._ask_for(f"text {len(self.asked)}", "hello", broken), die)

    @precondition(lambda self: self.asked)
    @rule(die=_die)
    def other_variables(self, die: int | None) -> None:
        self._release(self._ask_for(self.asked[-1].text, f"hello {len(self.asked)}", None), die)

    @precondition(lambda self: self.asked)
    @rule(which=st.integers(0, STEPS), die=_die)
    def an_earlier_commit(self, which: int, die: int | None) -> None:
        self._release(self.asked[which % len(self.asked)], die)

    @precondition(lambda self: self.asked)
    @rule(die=_die)
    def disturbed_rollback(self, die: int | None) -> None:
        self.rollback(die)

    def rollback(self, die: int | None) -> None:
        before, possible = self.live, self.good - {self.live}
        answer = self._run("rollback", {"app": APP, "owner": OWNER}, die)
        if answer["killed"]:
            self._look(self.good)
            self.doubtful |= {self.live} & {before} - {None}  # type: ignore[arg-type]
        elif possible - self.doubtful or answer.get("ok"):
            assert answer["ok"], answer["said"]
            self.live = next(release for release in self.asked if release.id == answer["release"])
            assert self.live in possible
        else:
            assert f"no {'live' if before is None else 'earlier good'} release" in answer["said"]
        if self.live != before:
            self.good.discard(before)  # type: ignore[arg-type]
        if not answer["killed"]:
            self._check()

    @precondition(lambda self: self.asked)
    @rule()
    def undisturbed_rollback(self) -> None:
        self.rollback(None)

    @precondition(lambda self: self.asked)
    @rule()
    def power_cut(self) -> None:
        self.seen["power cuts"] += 1
        assert self.server.ask("power cut")["ok"]
        self._check()

    def teardown(self) -> None:
        """Whatever was: the next `up` has its release serve."""
        wanted = next((release for release in reversed(self.asked) if release.broken is None), None)
        self._release(wanted or self._ask_for("the end", "hello", None), None)

    # ------------------------------------------------------------------------------------------- how it is told

    def _ask_for(self, text: str, greeting: str, broken: str | None) -> Release:
        self.asked.append(Release(f"r{len(self.asked)}", text, greeting, broken))
        return self.asked[-1]

    def _release(self, wanted: Release, die: int | None) -> None:
        """What an `up` does: it asks what is there, and then runs the release, if anything is to be done."""
        serial = release_serial(self.observed, wanted.id, int(time.time()))
        if serial == self.observed["release_serial"]:
            assert wanted == self.live
            return
        answer = self._run("release", wanted.request(self.server, serial), die)
        if answer["killed"]:
            self._look({wanted})
            return
        assert answer["ok"] == (wanted.broken is None), answer["said"]
        if answer["ok"]:
            self.live = wanted
            self.good.add(wanted)
            self.doubtful.discard(wanted)
        else:
            self.seen[f"broken: {wanted.broken}"] += 1
        self._check()

    def _run(self, command: str, document: dict[str, Any], die: int | None) -> dict[str, Any]:
        moment = None if die is None else max(1, die * self.moments // 100)
        answer = self.server.ask("agent", command=command, document=document, die=moment)
        self.seen["kills" if answer["killed"] else f"{command}s"] += 1
        return answer

    def _look(self, wanted: set[Release]) -> None:
        """After a kill: what served goes on, unless it was decided otherwise; the next command will go by that."""
        before, serving = self.live, self._visit()
        record = self.server.live_record()
        decided = None if record is None else next(release for release in self.asked if release.id == record)
        assert decided == before or decided in wanted
        assert serving in (before, decided)
        self.observed = self.server.observe()
        assert self.observed["release"] in ("", decided.id if decided else "")
        self._check_rows()
        self.live = decided
        if decided is not None and decided != before:
            self.seen["kills after the decision"] += 1
            self.good.add(decided)

    def _check(self) -> None:
        """After what was not killed: visitors, journal and record agree with the model."""
        assert self._visit() == self.live
        live = "" if self.live is None else self.live.id
        self.observed = self.server.observe()
        assert (self.observed["release"], self.observed["damage"]) == (live, [])
        assert self.server.live_by_the_journal() == live
        self._check_rows()

    def _check_rows(self) -> None:
        rows = self.server.rows()
        assert rows[: len(self.rows)] == self.rows
        self.rows = rows

    def _visit(self) -> Release | None:
        """The release that answers, whose code and variables have to be its own."""
        told = self.server.visit(patiently=self.live is not None)
        if told["status"] is None:
            return None
        found = next(release for release in self.asked if release.id == told["release"])
        assert (told["status"], told["text"], told["greeting"]) == (200, found.text, found.greeting)
        return found


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with sandbox() as made:
        yield made


def _moments(server: Sandbox) -> int:
    """Of the second release, which has one to replace."""
    server.reset()
    for number in (1, 2):
        request = Release(f"r{number}", "text", "hello", None).request(server, number)
        answer = server.ask("agent", command="release", document=request)
    moments: int = answer["moments"]
    return moments


@pytest.mark.timeout(600)
def test_the_release_that_serves_is_the_one_that_the_journal_says(server: Sandbox) -> None:
    seen: Counter[str] = Counter()
    machine = type("Sequences", (Releases,), {"server": server, "moments": _moments(server), "seen": seen})
    began = time.monotonic()
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        hypothesis.seed(SEED)(machine),
        settings=hypothesis.settings(
            max_examples=SEQUENCES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[hypothesis.Phase.generate],  # a sequence is short enough as it is
            suppress_health_check=list(HealthCheck),
        ),
    )
    told = ", ".join(f"{count} {what}" for what, count in sorted(seen.items()))
    print(f"seed {SEED}: {told}; {time.monotonic() - began:.0f} s")
    assert seen["sequences"] >= SEQUENCES
    if SEQUENCES >= 200:
        assert min(seen[what] for what in ("releases", "rollbacks", "power cuts", "kills")) > 100
        broken = [f"broken: {what}" for what in ("import", "health", "migration")]
        assert min(seen[what] for what in ("kills after the decision", *broken)) >= 5
