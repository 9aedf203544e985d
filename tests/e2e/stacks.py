"""More stacks than one of the same checkout."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.checkout import Checkout, Visitor
from tests.machines import Machine, driver


class LocalStack:
    """A stack of a checkout, on a machine of target local."""

    def __init__(self, checkout: Checkout, name: str) -> None:
        self.checkout, self.name = checkout, name
        self.settings: dict[str, Any] = {}

    @property
    def settings_file(self) -> Path:
        return self.checkout.folder / f"Pulumi.{self.name}.yaml"

    def write(self) -> None:
        """The settings file from the settings."""
        config = {f"slipway:{key}": value for key, value in self.settings.items()}
        self.settings_file.write_text(yaml.safe_dump({"config": config}))

    def pulumi(self, *arguments: str, check: bool = True) -> str:
        done = self.checkout.pulumi(*arguments, "--stack", self.name, check=check, timeout=600)
        return done.stdout + done.stderr

    def up(self) -> str:
        return self.pulumi("up", "--yes", "--skip-preview")

    def changes(self) -> dict[str, int]:
        """How many resources a preview would change, by kind; empty: none."""
        printed = self.checkout.pulumi("preview", "--json", "--stack", self.name).stdout
        summary = json.loads(printed)["changeSummary"]
        return {kind: count for kind, count in summary.items() if kind != "same"}

    def outputs(self) -> dict[str, Any]:
        printed = self.checkout.pulumi("stack", "output", "--json", "--show-secrets", "--stack", self.name).stdout
        answer: dict[str, Any] = json.loads(printed)
        return answer

    def visitor(self) -> Visitor:
        return Visitor(self.outputs()["url"], self.certificate())

    def certificate(self) -> Path:
        path = self.checkout.folder / ".slipway" / f"{self.name}.pem"
        path.write_text(self.outputs()["certificate"])
        return path

    def machine(self) -> Machine:
        """The machine, to look at from below."""
        host = self.outputs()["host"]
        return Machine(host["name"], host["id"], host["address"], 13)

    def destroy(self) -> str:
        return self.pulumi("destroy", "--yes", "--skip-preview")

    @contextmanager
    def gone_at_the_end(self) -> Iterator[None]:
        """Whatever happens in the block, its machine is gone afterwards."""
        try:
            yield
        finally:
            names = self._machine_names()
            self.pulumi("destroy", "--yes", "--skip-preview", check=False)
            for name in names:
                driver("remove", name)

    def _machine_names(self) -> set[str]:
        """Those in the state file, which is there also when Pulumi itself does not work any more."""
        file = self.checkout.folder / ".slipway" / "state" / ".pulumi" / "stacks" / "slipway" / f"{self.name}.json"
        found = re.findall(r"slipway\.local remove [^\"]*?([a-z0-9-]+)\"", file.read_text()) if file.exists() else []
        return set(found)
