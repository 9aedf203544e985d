"""What became of each request of a run, and the figures drawn from that."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Sample:
    """One request. Times are seconds since the start of the run."""

    due: float
    """When it should have left."""
    sent: float
    """When it left: later than due only where the generator itself was busy."""
    done: float
    """When its answer was whole, or when it failed."""
    status: int | None = None
    marker: str | None = None
    """Which version of the site answered."""
    failure: str | None = None
    """``None`` for the expected answer, else its kind: ``reset``, ``timeout``, ``status-502`` ..."""
    detail: str | None = None

    @property
    def latency(self) -> float:
        """Seconds from the moment it was due."""
        return self.done - self.due


@dataclass(frozen=True)
class Seen:
    """When answers of one version of the site came: seconds since the start."""

    count: int
    first: float
    last: float


@dataclass(frozen=True)
class Switch:
    """The change from one version to another, as clients saw it: seconds since the start."""

    last_old: float
    first_new: float
    returned: int
    """Requests sent after the first new answer that were still answered by the old version."""


@dataclass(frozen=True)
class LoadResult:
    """A whole run."""

    url: str
    rate: float
    seconds: float
    keepalive: bool
    started_at: float
    """Unix time of the start."""
    samples: list[Sample] = field(repr=False)

    @property
    def total(self) -> int:
        """Requests sent."""
        return len(self.samples)

    @property
    def failed(self) -> int:
        """Requests without the expected answer."""
        return sum(sample.failure is not None for sample in self.samples)

    @property
    def failures(self) -> dict[str, int]:
        """How many failed, by kind, the most frequent first."""
        return dict(Counter(s.failure for s in self.samples if s.failure is not None).most_common())

    @property
    def first_failures(self) -> list[Sample]:
        """The first failure of each kind."""
        found: dict[str, Sample] = {}
        for sample in self.samples:
            if sample.failure is not None:
                found.setdefault(sample.failure, sample)
        return list(found.values())

    def latency(self, percent: float) -> float:
        """The latency in seconds that ``percent`` of the good answers stayed within; NaN where there are none."""
        return _percentile([s.latency for s in self.samples if s.failure is None], percent)

    @property
    def lag(self) -> float:
        """How late 99 % of the requests left at most, in seconds: the generator's own error."""
        return _percentile([s.sent - s.due for s in self.samples], 99)

    @property
    def markers(self) -> dict[str, Seen]:
        """The versions that gave good answers, in the order of their first one."""
        times: dict[str, list[float]] = {}
        for sample in sorted(self.samples, key=lambda s: s.done):
            if sample.failure is None and sample.marker is not None:
                times.setdefault(sample.marker, []).append(sample.done)
        return {marker: Seen(len(seen), seen[0], seen[-1]) for marker, seen in times.items()}

    def switch(self, old: str, new: str) -> Switch | None:
        """When ``new`` took over from ``old``; ``None`` unless both were seen."""
        markers = self.markers
        if old not in markers or new not in markers:
            return None
        first_new = markers[new].first
        returned = sum(s.failure is None and s.marker == old and s.sent > first_new for s in self.samples)
        return Switch(markers[old].last, first_new, returned)

    def to_json(self) -> str:
        """One line that ``from_json`` reads."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> LoadResult:
        """The result that ``to_json`` wrote."""
        values = json.loads(text)
        values["samples"] = [Sample(**sample) for sample in values["samples"]]
        return cls(**values)

    def text(self) -> str:
        """The figures for people."""
        kind = "keep-alive" if self.keepalive else "new connections"
        lines = [
            f"{self.total} requests ({kind}), {self.failed} failed; latency p50 {ms(self.latency(50))},"
            f" p99 {ms(self.latency(99))}, max {ms(self.latency(100))}; generator late by {ms(self.lag)} (p99)"
        ]
        for sample in self.first_failures:
            count = self.failures[sample.failure or ""]
            lines.append(f"  {sample.failure}: {count}, the first at {sample.due:.3f} s: {sample.detail}")
        for marker, seen in self.markers.items():
            lines.append(f"  {marker!r}: {seen.count} answers, {seen.first:.3f} s to {seen.last:.3f} s")
        return "\n".join(lines)


def ms(seconds: float) -> str:
    """Seconds as milliseconds for people."""
    return "-" if math.isnan(seconds) else f"{seconds * 1000:.0f} ms"


def _percentile(values: list[float], percent: float) -> float:
    """The smallest value that ``percent`` of all values do not exceed (nearest rank)."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]
