"""Whether a server can have an app's packages, told from the names of their files; and what is said when it cannot."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pulumi_slipway.app.dependencies import find_dependencies, resolve, sources
from pulumi_slipway.app.dependencies.check import check
from pulumi_slipway.app.dependencies.locked import Locked
from pulumi_slipway.app.dependencies.machine import Machine, machine_of, machine_of_image
from pulumi_slipway.app.dependencies.resolve import UnknownError
from pulumi_slipway.app.dependencies.wheels import lacking
from tests.unit.test_dependencies import PROJECT, UV_LOCK, tree

DEBIAN_12 = Machine("3.11.2", "2.36", "x86_64", "Debian 12")
DEBIAN_13 = Machine("3.13.5", "2.41", "x86_64", "Debian 13")
ARM = Machine("3.13.5", "2.41", "aarch64", "Debian 13")

GREENLET = tuple(
    f"greenlet-3.0.1-cp3{minor}-cp3{minor}-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl" for minor in range(7, 13)
)
LOCK = PROJECT, UV_LOCK.replace("cp313-cp313", "cp311-cp311")


@pytest.mark.parametrize(
    ("wheels", "machine", "there"),
    [
        (("flask-3.1.0-py3-none-any.whl",), DEBIAN_13, True),
        (("six-1.17.0-py2.py3-none-any.whl",), ARM, True),
        (("old-1.0-py2-none-any.whl",), DEBIAN_13, False),
        (GREENLET, DEBIAN_12, True),
        (GREENLET, DEBIAN_13, False),
        (GREENLET, DEBIAN_12.with_python("3.12.0"), True),
        (("a-1-cp39-abi3-manylinux_2_28_x86_64.whl",), DEBIAN_13, True),
        (("a-1-cp314-abi3-manylinux_2_28_x86_64.whl",), DEBIAN_13, False),
        (("a-1-cp313-cp313-manylinux_2_39_x86_64.whl",), DEBIAN_13, True),
        (("a-1-cp311-cp311-manylinux_2_39_x86_64.whl",), DEBIAN_12, False),
        (("a-1-cp313-cp313-manylinux2014_x86_64.whl",), DEBIAN_13, True),
        (("a-1-cp313-cp313-manylinux2014_x86_64.whl",), ARM, False),
        (("a-1-cp313-cp313t-manylinux2014_x86_64.whl",), DEBIAN_13, False),
        (("a-1-cp313-cp313-musllinux_1_2_x86_64.whl",), DEBIAN_13, False),
        (("a-1-cp313-cp313-macosx_11_0_arm64.whl", "a-1-cp313-cp313-win_amd64.whl"), DEBIAN_13, False),
        (("a-1-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.whl",), ARM, True),
        (("not a wheel.whl",), DEBIAN_13, False),
        ((), DEBIAN_13, False),
    ],
)
def test_a_wheel_fits_by_python_c_library_and_architecture(
    wheels: tuple[str, ...], machine: Machine, there: bool
) -> None:
    assert (lacking([Locked("a", "1", wheels)], machine) == []) is there


def test_what_is_built_from_the_app_itself_has_no_wheel_to_miss() -> None:
    assert lacking([Locked("a", "1", local=True)], DEBIAN_13) == []


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"os_id": "debian", "version": "12", "python": "3.11.2", "machine": "x86_64"}, DEBIAN_12),
        ({"os_id": "x", "version": "1", "python": "3.13.5", "machine": "x86_64"}, None),
        ({}, None),
    ],
)
def test_a_machine_is_known_by_its_facts(facts: dict[str, Any], expected: Machine | None) -> None:
    assert machine_of(facts) == expected


def test_the_c_library_that_a_server_tells_counts() -> None:
    facts = {"os_id": "debian", "version": "12", "python": "3.11.2", "machine": "x86_64", "glibc": "2.99"}
    machine = machine_of(facts)
    assert machine is not None
    assert machine.glibc == "2.99"


def test_the_architecture_of_an_image_is_in_its_name() -> None:
    assert machine_of_image("debian-13-arm64") == ARM
    assert machine_of_image("debian-13") == DEBIAN_13


@pytest.mark.parametrize(
    ("image", "python"),
    [
        ("debian-13", "3.13.5"),
        ("debian_12", "3.11.2"),
        ("linode/debian13", "3.13.5"),
        ("debian-12-x64", "3.11.2"),
        ("ubuntu-24.04", "3.12.3"),
        ("ubuntu-24-04-x64", "3.12.3"),
        ("private/1234", None),
    ],
)
def test_a_machine_is_known_by_its_image(image: str, python: str | None) -> None:
    machine = machine_of_image(image)
    assert (machine.python if machine else None) == python


def test_a_lock_without_wheels_for_the_server_is_refused_with_the_remedies(tmp_path: Path) -> None:
    tree(tmp_path, pyproject_dot_toml=LOCK[0], uv_dot_lock=LOCK[1])
    dependencies = find_dependencies(tmp_path)
    assert check(dependencies, DEBIAN_12, False).problem == ""
    problem = check(dependencies, DEBIAN_13, False).problem
    assert problem.startswith("psycopg-binary 3.2.9 has no wheel for Python 3.13 on Debian 13 (x86_64): ")
    assert 'as Debian 12 (3.11), or set python: "3.11" for one of uv\'s, or set build_packages: []' in problem
    assert check(dependencies, DEBIAN_13, True).problem == ""
    assert check(find_dependencies(tmp_path, python="3.11"), DEBIAN_13, False).problem == ""


def test_a_python_that_will_not_do_is_refused_before_wheels_are_looked_for(tmp_path: Path) -> None:
    tree(tmp_path, pyproject_dot_toml=PROJECT.replace(">=3.11", ">=3.14"), uv_dot_lock=UV_LOCK)
    assert (
        "asks for Python >=3.14, and the server has 3.13.5"
        in check(find_dependencies(tmp_path), DEBIAN_13, True).problem
    )


def sdist(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(f"a-1/{name}"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("names", "takes"),
    [
        (("setup.py", "a.py"), False),
        (("setup.py", "core/uwsgi.c"), True),
        (("Cargo.toml", "src/lib.rs"), True),
        (("setup.py", "tests/helper.c"), False),
    ],
)
def test_a_source_distribution_is_looked_into(tmp_path: Path, names: tuple[str, ...], takes: bool) -> None:
    path = tmp_path / "a-1.tar.gz"
    path.write_bytes(sdist(*names))
    assert sources.takes_compiler(path.as_uri()) is takes
    path.write_bytes(b"no archive")
    assert sources.takes_compiler(path.as_uri()) is None


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What uv was asked; it answers that flask has a wheel, and nothing else has."""
    asked: list[str] = []

    def pinned(requirements: list[str], constraints: list[str], machine: Machine) -> list[Locked]:
        asked.append(" ".join(requirements))
        if any("away" in line for line in requirements):
            raise UnknownError("the package index cannot be asked: dns error")
        names = [line.split("==")[0] for line in requirements]
        return [
            Locked(name, "1", ("flask-1-py3-none-any.whl",) if name == "flask" else (), sdist=f"file:///{name}")
            for name in names
        ]

    def without_wheel(requirements: list[str], constraints: list[str], machine: Machine) -> tuple[str, str] | None:
        lacking = [each for each in pinned(requirements, constraints, machine) if not each.wheels]
        if lacking:
            return lacking[0].name, "1"
        return ("deep", "7") if "deeper" in constraints else None

    monkeypatch.setattr(resolve, "pinned", pinned)
    monkeypatch.setattr(resolve, "without_wheel", without_wheel)
    monkeypatch.setattr(sources, "takes_compiler", lambda url: {"uwsgi": True, "deep": True}.get(Path(url).name, False))
    return asked


@pytest.mark.parametrize(
    ("requirements", "problem"),
    [
        ("flask\n", ""),
        ("flask\nplain\n", ""),
        ("flask\nuwsgi\n", "uwsgi 1 has no wheel for Python 3.13 on Debian 13 .*: set build_packages: "),
        ("flask\n-c limits.txt\n", "deep 7 has no wheel"),
        ("flask\nuwsgi\nplain\n-c limits.txt\n", "uwsgi 1, deep 7 have no wheels"),
        ("flask==1\nuwsgi==1 ; python_version > '3'\n-c limits.txt\n", "uwsgi 1 has no wheel"),
        ("-e .\nour @ git+https://git.example/x\n", ""),
    ],
)
def test_requirements_are_resolved_for_the_server(
    tmp_path: Path, index: list[str], requirements: str, problem: str
) -> None:

    tree(tmp_path, requirements_dot_txt=requirements, limits_dot_txt="deeper\n")
    found = check(find_dependencies(tmp_path), DEBIAN_13, False)
    assert re.search(problem, found.problem) if problem else not found.problem
    assert found.warnings == []
    count = len(index)
    assert check(find_dependencies(tmp_path), DEBIAN_13, False) == found
    assert len(index) == count  # the second time, the cache knows


def test_without_a_network_it_is_a_warning_and_asked_again_the_next_time(tmp_path: Path, index: list[str]) -> None:
    tree(tmp_path, requirements_dot_txt="away\n")
    for _ in range(2):
        found = check(find_dependencies(tmp_path), DEBIAN_13, False)
        assert (found.problem, len(found.warnings)) == ("", 1)
        assert "the package index cannot be asked" in found.warnings[0]
    assert index == ["away", "away"]


def test_uv_tells_what_has_no_wheel() -> None:
    said = (
        "error: No solution found when resolving: cause: Because greenlet==3.0.1 has no usable wheels and you "
        "require greenlet==3.0.1, we can conclude that your requirements are unsatisfiable."
    )
    match = resolve._NO_WHEELS.search(said)
    assert match is not None
    assert match.groups() == ("greenlet", "3.0.1")
