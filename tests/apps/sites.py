"""An app of the table, and the stack that it is on."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.apps.apps import App, Running
from tests.e2e.checkout import Checkout
from tests.e2e.stacks import LocalStack


class Site(LocalStack):
    """A stack made as users do: `make up STACK=name APP=folder`."""

    def __init__(self, checkout: Checkout, app: App, path: Path, repository: Path) -> None:
        super().__init__(checkout, app.name)
        self.app, self.path, self.repository = app, path, repository

    def make(self, *arguments: str, check: bool = True) -> str:
        done = self.checkout.make(*arguments, f"STACK={self.name}", f"APP={self.path}", check=check)
        return done.stdout + done.stderr

    def set_also(self) -> None:
        """Adds to the settings file what the preview asked for."""
        found = yaml.safe_load(self.settings_file.read_text())
        found["config"] |= {f"slipway:{key}": value for key, value in self.app.then.items()}
        self.settings_file.write_text(yaml.safe_dump(found))

    def edit(self, old: str, new: str) -> None:
        path = self.repository / self.app.marked
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def running(self) -> Running:
        return Running(self.outputs()["url"], self.certificate(), self.machine())
