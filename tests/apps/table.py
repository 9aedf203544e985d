"""The table of the apps: which cells there have to be."""

from __future__ import annotations

from tests.apps.apps import APPS
from tests.table import Table

LINES = ("preview", "up", "works", "again", "release", "back", "destroy")

TABLE = Table("apps", LINES, {app.name: LINES for app in APPS})
