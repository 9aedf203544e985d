"""Which packages of the distribution come and go: told from what its tools say."""

from __future__ import annotations

import pytest

from pulumi_slipway.agent import run, system_packages

INSTALLED = """\
ii \tlibc6\tlibc6-2.41
ii \tgcc\tc-compiler
ii \tlibmagic1t64\tlibmagic1 (= 1:5.46-5), libmagic-x
rc \tlibpq5\t
ii \tg++\t
ii \tmake\t
"""
NEEDS = {"gcc": ["g++"], "make": ["dkms"]}
"""What goes with a package: `dkms` was installed by somebody meanwhile."""


@pytest.fixture(autouse=True)
def distribution(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    asked: list[list[str]] = []

    def tool(command: list[str], timeout: float = 60.0) -> str:
        asked.append(command)
        if command[0] == "dpkg-query":
            return INSTALLED
        action = "remove" if "remove" in command else "install"
        names = command[command.index(action) + 1 :]
        if action == "remove":
            going = sorted({*names, *(other for name in names for other in NEEDS.get(name, []))})
            return "Reading package lists...\n" + "\n".join(f"Remv {name} [1.0]" for name in going)
        new = "\n".join(f"Inst {name} (1.0 Debian:13/stable [amd64])" for name in ["libfirst", *names])
        return f"{new}\nInst libc6 [2.40] (2.41 Debian:13/stable [amd64])\nConf libfirst (1.0)\n"

    monkeypatch.setattr(run, "tool", tool)
    return asked


def test_what_is_installed_or_provided_is_not_missing() -> None:
    assert system_packages._missing(["gcc", "c-compiler", "libmagic1", "libpq5", "libpq5", "gcc:amd64"]) == ["libpq5"]


def test_nothing_is_asked_for_nothing(distribution: list[list[str]]) -> None:
    assert system_packages._missing([]) == []
    assert distribution == []


def test_what_an_installation_adds_is_what_is_new() -> None:
    assert system_packages._planned("install", ["build-essential"]) == ["build-essential", "libfirst"]


@pytest.mark.parametrize(
    ("added", "going"),
    [
        ({"gcc", "g++", "gone"}, ["g++", "gcc"]),
        ({"gcc", "g++", "make"}, ["g++", "gcc"]),
        ({"make"}, []),
        ({"gone"}, []),
    ],
)
def test_what_others_came_to_need_stays(added: set[str], going: list[str]) -> None:
    assert system_packages._to_go(added) == going
