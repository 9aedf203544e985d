"""What the agent answers, as tables and lines for people: pure functions of the answer and of the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

_STYLES = {"live": "green", "bad": "red", "never live": "dim"}


def releases_table(found: Sequence[Mapping[str, Any]], now: float) -> Table:
    """The releases on a server, the one that went live last first."""
    table = _table("release", "state", "live", "by", "commit", "took")
    for entry in found:
        state = str(entry["state"])
        message = entry.get("message") or {}
        table.add_row(
            str(entry["id"]),
            f"[{_STYLES[state]}]{state}[/]" if state in _STYLES else state,
            ago(entry["live_at"], now) if entry["live_at"] else "",
            escape(str(message.get("who", ""))),
            escape(commit_of(message)),
            took(entry.get("seconds") or {}),
        )
    return table


def journal_table(entries: Sequence[Mapping[str, Any]], now: float) -> Table:
    """What happened, the last thing last."""
    table = _table("when", "what", "by", "commit", "result")
    for entry in entries:
        at = datetime.fromisoformat(str(entry["at"])).timestamp()
        table.add_row(
            ago(at, now), what(entry), escape(str(entry.get("who", ""))), escape(commit_of(entry)), _result(entry)
        )
    return table


def status_lines(status: Mapping[str, Any], now: float) -> list[str]:
    """How an app is."""
    live = status["live"] or "none"
    processes = ", ".join(f"{slot} {state}" for slot, state in sorted(status["processes"].items()))
    ends = status["certificate_ends"]
    lines = [
        f"[bold]{status['app']}[/]: release {live}" + (f" in slot {status['slot']}" if status["slot"] else ""),
        f"processes: {escape(processes)}",
        *(_program(name, found) for name, found in sorted(status.get("programs", {}).items()) if name != "web"),
        f"certificate: {f'{(ends - now) / 86400:.0f} days left' if ends else 'none'}",
        f"agent: {status['agent']}",
    ]
    if status["stands_still"]:
        lines.append(f"[red]it stands still: its data were carried to {escape(status['stands_still'])}[/]")
    return lines


def _program(name: str, found: Mapping[str, Any]) -> str:
    """A worker, or a command of cron with its times."""
    state = str(found["state"])
    times = [f"{word} {found[key]}" for key, word in (("next", "next"), ("last", "last")) if found.get(key)]
    if found.get("result") not in (None, "success"):
        times.append(f"[red]{escape(str(found['result']))}[/]")
    said = ", ".join([state if found["as_wanted"] else f"[red]{state}[/]", *times])
    return f"  {escape(name)}: {said}"


def what(entry: Mapping[str, Any]) -> str:
    """An action of the journal in some words: what was changed, and from what."""
    action, release, previous = str(entry["action"]), entry.get("release"), entry.get("previous")
    if release is None:
        return escape(action)
    return escape(f"{action} {previous} → {release}" if previous and previous != release else f"{action} {release}")


def commit_of(message: Mapping[str, Any]) -> str:
    """The commit as people name it: the beginning of its id, and its subject."""
    commit = str(message.get("commit", ""))[:9]
    changed = " with changes" if message.get("dirty") else ""
    return f"{commit}{changed} {message.get('subject', '')}".strip()[:70] if commit else ""


def took(seconds: Mapping[str, float]) -> str:
    """How long it took until it was live, and its longest steps."""
    if not seconds:
        return ""
    steps = {step: took for step, took in seconds.items() if step != "to_live"}
    longest = sorted(steps, key=lambda step: steps[step], reverse=True)[:2]
    total = seconds.get("to_live", sum(steps.values()))
    return f"{total:.1f} s ({', '.join(f'{step} {steps[step]:.1f}' for step in longest)})"


def ago(then: float, now: float) -> str:
    """A moment in the past as people say it; after a week, the day."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if now - then >= 2 * size:
            if unit == "days" and now - then > 7 * size:
                return datetime.fromtimestamp(then, UTC).strftime("%Y-%m-%d")
            return f"{(now - then) / size:.0f} {unit} ago"
    return f"{max(0.0, now - then):.0f} s ago"


def _result(entry: Mapping[str, Any]) -> str:
    if entry.get("ok"):
        return took(entry.get("seconds_of") or {}) or f"{entry.get('seconds', 0):.1f} s"
    return f"[red]failed[/]: {escape(str(entry.get('error', ''))[:160])}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("release", "state", "when", "live"))
    return table
