"""When a timer runs: cron's ways of saying it, as systemd says it. Pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ITEM = re.compile(r"(\*|\w+(?:-\w+)?)(?:/(\d+))?")
# What a calendar event of systemd is made of; whether it is one, its systemd says before a release is built.
_CALENDAR = re.compile(r"[\w*/.,:~ +-]+")


class ScheduleError(ValueError):
    """The text is no time that can be kept; the message says what is wrong with it."""


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def values(self, text: str) -> list[int]:
        """The numbers that a field of cron stands for, in order."""
        found: set[int] = set()
        for item in text.split(","):
            match = _ITEM.fullmatch(item)
            if not match:
                raise ScheduleError(f"{item!r} is no {self.name}")
            span, step = match[1], int(match[2] or 1)
            if span == "*":
                first, last = self.low, self.high
            elif "-" in span:
                first, last = (self._number(part) for part in span.split("-"))
            else:
                first = self._number(span)
                last = self.high if match[2] else first
            if first > last:
                raise ScheduleError(f"{item!r}: the {self.name} {first} comes after {last}")
            if step < 1:
                raise ScheduleError(f"{item!r}: a step of {step}")
            found.update(range(first, last + 1, step))
        return sorted(found)

    def _number(self, text: str) -> int:
        name = text.lower()
        if name in self.names:
            return self.names.index(name) + (1 if self.low == 1 else 0)
        # 7 is Sunday, too
        if not text.isdigit() or not self.low <= int(text) <= self.high + (1 if self.names == _DAYS else 0):
            raise ScheduleError(f"{text!r} is no {self.name} ({self.low} to {self.high})")
        return int(text)


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of the month", 1, 31)
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEKDAY = _Field("day of the week", 0, 6, _DAYS)


def calendar_events(text: str) -> list[str]:
    """The calendar events of systemd for `text`: cron's five fields, one of its names as @daily, or such an event.

    Raises `ScheduleError`. cron runs a command that names both a day of the month and one of the week on either of
    them; so these become two events.
    """
    text = " ".join(text.split())
    if text.startswith("@"):
        if text.lower() not in _NAMED:
            remedy = "; let a worker do what is to be done at a start" if text.lower() == "@reboot" else ""
            raise ScheduleError(f"{text} is none of {', '.join(_NAMED)}{remedy}")
        text = _NAMED[text.lower()]
    fields = text.split()
    if len(fields) < 5:
        if not fields or not _CALENDAR.fullmatch(text):
            raise ScheduleError(f"{text!r} is neither cron's five fields nor a calendar event of systemd")
        return [text]
    if len(fields) > 5:
        raise ScheduleError(
            f"{text!r} has {len(fields)} fields, and a time of cron has five: minute, hour, day of the month, month, "
            "day of the week"
        )
    return _translated(*fields)


def _translated(minute: str, hour: str, day: str, month: str, weekday: str) -> list[str]:
    time = f"{_numbers(_HOUR, hour)}:{_numbers(_MINUTE, minute)}:00"
    months, days = _numbers(_MONTH, month), _numbers(_DAY, day)
    on = _weekdays(weekday)
    by_day, by_weekday = f"*-{months}-{days} {time}", f"{on} *-{months}-* {time}".lstrip()
    if not on:
        return [by_day]
    if days == "*":
        return [by_weekday]
    if day.startswith("*") or weekday.startswith("*"):  # cron's own rule: then both have to fit
        return [f"{on} {by_day}"]
    return [by_day, by_weekday]


def _numbers(field: _Field, text: str) -> str:
    """As systemd writes it, as short as it was."""
    values = field.values(text)
    if values == list(range(field.low, field.high + 1)):
        return "*"
    match = re.fullmatch(r"\*/(\d+)", text)
    if match:
        return f"{field.low:02}/{match[1]}"
    return ",".join(_runs([f"{value:02}" for value in values], values))


def _weekdays(text: str) -> str:
    """Names of days, from Monday on as systemd wants its ranges; empty: every day."""
    numbers = sorted({value % 7 or 7 for value in _WEEKDAY.values(text)})
    if len(numbers) == 7:
        return ""
    return ",".join(_runs([_DAYS[value % 7].capitalize() for value in numbers], numbers))


def _runs(names: list[str], values: list[int]) -> list[str]:
    """Names of values, with those of three or more that follow one another as a range."""
    found: list[str] = []
    begin = 0
    for index in range(1, len(values) + 1):
        if index < len(values) and values[index] == values[index - 1] + 1:
            continue
        run = names[begin:index]
        found += [f"{run[0]}..{run[-1]}"] if len(run) > 2 else run
        begin = index
    return found
