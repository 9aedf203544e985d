"""The package as somebody installs it: a wheel in the environment of a Pulumi program of one's own."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.checkout import Checkout, Visitor
from tests.machines import driver


class Program:
    """A program in `examples/` of a checkout, used as its README tells."""

    def __init__(self, checkout: Checkout, example: str) -> None:
        self._folder = checkout.folder / "examples" / example
        self._environment = checkout.environment

    def install(self) -> None:
        """The package's wheel, the program's environment, a stack."""
        self.run("uv", "build", "--wheel", "-o", "../../dist", "../..")
        self.pulumi("install")
        self.pulumi("stack", "init", "try")

    def run(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def pulumi(self, *arguments: str, check: bool = True) -> str:
        return self.run("pulumi", *arguments, "--non-interactive", check=check)

    def outputs_of(self, kind: str) -> dict[str, str]:
        """The outputs of the one resource of a type."""
        resources = json.loads(self.pulumi("stack", "export"))["deployment"].get("resources", [])
        (found,) = [resource["outputs"] for resource in resources if resource["type"] == kind]
        return dict(found)

    def remove(self) -> None:
        """Take all away, the machine also where Pulumi cannot."""
        exported = self.pulumi("stack", "export", check=False)
        self.pulumi("destroy", "--yes", "--skip-preview", check=False)
        for name in set(re.findall(r"slipway\.local remove ([a-z0-9-]+)", exported)):
            driver("remove", name)


@pytest.fixture
def program(fresh: Checkout) -> Iterator[Program]:
    made = Program(fresh, "import")
    try:
        yield made
    finally:
        made.remove()


def test_the_components_work_from_the_wheel_in_a_program_of_ones_own(program: Program, tmp_path: Path) -> None:
    program.install()
    program.pulumi("up", "--yes", "--skip-preview")
    visit(program, tmp_path)

    again = program.pulumi("up", "--yes", "--skip-preview")
    assert not re.search(r"^ +[+~-]", again.partition("Resources:")[2], re.MULTILINE), again

    program.pulumi("destroy", "--yes", "--skip-preview")
    assert json.loads(program.pulumi("stack", "export"))["deployment"].get("resources", []) == []


def visit(program: Program, tmp_path: Path) -> None:
    url = program.pulumi("stack", "output", "url").strip()
    certificate = tmp_path / "certificate.pem"
    certificate.write_text(program.outputs_of("slipway:index:WebApp")["certificate"])
    visitor = Visitor(url, certificate)
    visitor.sign("Ada", "From a program of my own")
    assert "From a program of my own" in visitor.get().text
