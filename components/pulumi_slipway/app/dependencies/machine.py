"""What a server is to packages: its Python, C library and architecture, as wheels and markers name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from packaging.tags import Tag, compatible_tags, cpython_tags

_GLIBC = {
    ("debian", "11"): "2.31",
    ("debian", "12"): "2.36",
    ("debian", "13"): "2.41",
    ("raspbian", "12"): "2.36",
    ("raspbian", "13"): "2.41",
    ("ubuntu", "22.04"): "2.35",
    ("ubuntu", "24.04"): "2.39",
    ("ubuntu", "26.04"): "2.43",
}
"""Of a system whose agent does not tell."""

_LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
_OLDEST = 5
_UV_NEWEST = 40
"""The newest glibc 2.x that uv knows as a platform."""


@dataclass(frozen=True)
class Machine:
    python: str
    """As "3.13.5"."""
    glibc: str
    architecture: str
    """As `uname -m` has it."""
    system: str
    """For people, as "Debian 13"."""

    @property
    def minor(self) -> tuple[int, int]:
        major, minor = self.python.split(".")[:2]
        return int(major), int(minor)

    @property
    def key(self) -> dict[str, str]:
        """What makes a difference to packages."""
        return {key: value for key, value in asdict(self).items() if key != "system"}

    def with_python(self, version: str) -> Machine:
        return Machine(version, self.glibc, self.architecture, self.system)

    def environment(self) -> dict[str, str]:
        """What markers are evaluated with."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.python,
            "os_name": "posix",
            "platform_machine": self.architecture,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.python,
            "python_version": ".".join(map(str, self.minor)),
            "sys_platform": "linux",
        }

    def tags(self) -> frozenset[Tag]:
        """Of the wheels that it can use."""
        platforms = list(self._platforms())
        interpreter = f"cp{self.minor[0]}{self.minor[1]}"
        return frozenset(
            {
                *cpython_tags(self.minor, [interpreter], platforms),
                *compatible_tags(self.minor, interpreter, platforms),
            }
        )

    def uv_platform(self) -> str | None:
        """As uv calls it; None: uv does not know it."""
        if self.architecture not in ("x86_64", "aarch64"):
            return None
        newest = min(int(self.glibc.split(".")[1]), _UV_NEWEST)
        return f"{self.architecture}-manylinux_2_{newest}" if newest >= 31 else f"{self.architecture}-manylinux_2_28"

    def _platforms(self) -> Iterator[str]:
        major, newest = (int(number) for number in self.glibc.split(".")[:2])
        for minor in range(newest, _OLDEST - 1, -1):
            yield f"manylinux_{major}_{minor}_{self.architecture}"
            if (major, minor) in _LEGACY:
                yield f"{_LEGACY[major, minor]}_{self.architecture}"
        yield f"linux_{self.architecture}"


def machine_of(facts: Mapping[str, Any]) -> Machine | None:
    """The machine with these facts (`agent/facts.py`); None where they do not tell."""
    python, architecture = facts.get("python"), facts.get("machine")
    known = (str(facts.get("os_id")), str(facts.get("version")))
    glibc = facts.get("glibc") or _GLIBC.get(known)
    if not isinstance(python, str) or not isinstance(architecture, str) or not glibc:
        return None
    return Machine(python, str(glibc), architecture, " ".join(known).title())


def machine_of_image(name: str) -> Machine | None:
    """The machine that an image by this name makes, as "debian-13", "linode/debian13" or "ubuntu-24.04-arm64"."""
    letters = "".join(letter for letter in name.lower() if letter.isalnum())
    architecture = "aarch64" if "arm64" in letters or "aarch64" in letters else "x86_64"
    for (system, version), python in _IMAGES.items():
        if f"{system}{version.replace('.', '')}" in letters:
            return Machine(python, _GLIBC[system, version], architecture, f"{system} {version}".title())
    return None


_IMAGES = {("debian", "12"): "3.11.2", ("debian", "13"): "3.13.5", ("ubuntu", "24.04"): "3.12.3"}
"""The Python that comes with them, at least."""
