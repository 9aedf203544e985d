"""Times of cron as systemd's calendar events: the same moments."""

from __future__ import annotations

import random
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from pulumi_slipway.app.schedule import ScheduleError, calendar_events

_HORIZON = timedelta(days=2000)


@pytest.mark.parametrize(
    ("cron", "events"),
    [
        ("*/5 * * * *", ["*-*-* *:00/5:00"]),
        ("0 4 * * *", ["*-*-* 04:00:00"]),
        ("0,30 8-17 * * 1-5", ["Mon..Fri *-*-* 08..17:00,30:00"]),
        ("15 3 1 * *", ["*-*-01 03:15:00"]),
        ("0 0 1 1 *", ["*-01-01 00:00:00"]),
        ("0 0 * jan,jul sun", ["Sun *-01,07-* 00:00:00"]),
        ("0 0 * * 7", ["Sun *-*-* 00:00:00"]),
        ("0 0 * * 6,0,1,2", ["Mon,Tue,Sat,Sun *-*-* 00:00:00"]),
        ("10-50/20 */6 * * *", ["*-*-* 00/6:10,30,50:00"]),
        ("0 0 13 * 5", ["*-*-13 00:00:00", "Fri *-*-* 00:00:00"]),
        ("0 0 */2 * 1", ["Mon *-*-01/2 00:00:00"]),
        ("@daily", ["*-*-* 00:00:00"]),
        ("@weekly", ["Sun *-*-* 00:00:00"]),
        ("  0  4 * * *  ", ["*-*-* 04:00:00"]),
        ("Mon..Fri 08:00", ["Mon..Fri 08:00"]),
        ("daily", ["daily"]),
    ],
)
def test_a_time_becomes_calendar_events(cron: str, events: list[str]) -> None:
    assert calendar_events(cron) == events


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("60 * * * *", "'60' is no minute (0 to 59)"),
        ("* * 0 * *", "'0' is no day of the month (1 to 31)"),
        ("* * * foo *", "'foo' is no month (1 to 12)"),
        ("* * * * 8", "'8' is no day of the week"),
        ("5-1 * * * *", "the minute 5 comes after 1"),
        ("*/0 * * * *", "a step of 0"),
        ("0 0 L * *", "'L' is no day of the month"),
        ("0 0 ? * MON#2", "'?' is no day of the month"),
        ("0 0 4 * * *", "has 6 fields, and a time of cron has five"),
        ("@reboot", "let a worker do"),
        ("@often", "@often is none of @hourly"),
        ("", "neither cron's five fields nor a calendar event"),
        ("every day; rm", "neither cron's five fields nor a calendar event"),
    ],
)
def test_what_is_no_time_is_refused_with_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        calendar_events(text)
    assert said in str(caught.value)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is the other opinion")
def test_systemd_keeps_the_very_moments_of_cron() -> None:
    chance = random.Random(5)
    for _ in range(25):
        cron = " ".join(
            [
                chance.choice(["0", "*/20", "7,37", "50-59/3"]),
                chance.choice(["*", "3", "*/7", "22-23"]),
                chance.choice(["*", "*", "31", "1-7", "*/10"]),
                chance.choice(["*", "2", "*/5", "nov-dec"]),
                chance.choice(["*", "*", "0", "mon-wed", "*/3", "5-7"]),
            ]
        )
        begin = datetime(2026, chance.randint(1, 12), chance.randint(1, 28), 12, 0, tzinfo=UTC)
        wanted = _next_of_cron(cron, begin, 4)
        found = {moment for event in calendar_events(cron) for moment in _next_of_systemd(event, begin, 4)}
        assert sorted(moment for moment in found if moment < begin + _HORIZON)[:4] == wanted, cron


def _next_of_systemd(event: str, begin: datetime, count: int) -> list[datetime]:
    base = begin.strftime("%Y-%m-%d %H:%M:%S UTC")
    command = ["systemd-analyze", "calendar", f"--iterations={count}", f"--base-time={base}", "--", event]
    said = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={"TZ": "UTC", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    ).stdout
    moments = [line.split(":", 1)[1].split() for line in said.splitlines() if "elapse" in line or "Iter" in line]
    moments = [parts for parts in moments if parts != ["never"]]
    return [datetime.strptime(f"{parts[1]} {parts[2]}+0000", "%Y-%m-%d %H:%M:%S%z") for parts in moments]


def _next_of_cron(cron: str, begin: datetime, count: int) -> list[datetime]:
    """As vixie-cron decides, minute by minute; of days and hours that cannot be, none is looked at."""
    minute, hour, day, month, weekday = cron.split()
    minutes, hours = _values(minute, 0, 59), _values(hour, 0, 23)
    days, months, weekdays = _values(day, 1, 31), _values(month, 1, 12), {n % 7 for n in _values(weekday, 0, 7)}
    found: list[datetime] = []
    date = begin.replace(hour=0)
    while len(found) < count and date < begin + _HORIZON:
        on_day, on_weekday = date.day in days, (date.weekday() + 1) % 7 in weekdays
        both = day.startswith("*") or weekday.startswith("*")
        if date.month in months and ((on_day and on_weekday) if both else (on_day or on_weekday)):
            moments = (date.replace(hour=h, minute=m) for h in sorted(hours) for m in sorted(minutes))
            found += [moment for moment in moments if moment > begin]
        date += timedelta(days=1)
    return found[:count]


def _values(text: str, low: int, high: int) -> set[int]:
    names = {"mon": 1, "wed": 3, "nov": 11, "dec": 12}
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        ends = [str(names.get(end, end)) for end in span.split("-")]
        first, last = (low, high if high != 7 else 6) if span == "*" else (int(ends[0]), int(ends[-1]))
        found |= set(range(first, last + 1, int(step or 1)))
    return found
