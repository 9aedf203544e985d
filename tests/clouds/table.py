"""The table of targets and databases: which cells there have to be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from pulumi_slipway.settings.models import Target
from pulumi_slipway.settings.together import databases_of
from tests.table import Table

TARGETS = ("local", "existing", "ec2", "lightsail", "droplet", "linode")
assert set(TARGETS) == set(get_args(Target))
ON_SERVER = ("postgresql", "mariadb")
WITH_FIREWALL = ("ec2", "lightsail", "droplet", "linode")
"""Targets whose cloud filters what comes to a machine."""

LINES = ("up", "again", "release", "cloud firewall", "ufw", "tls", "third machine", "replaced", "destroy")


@dataclass(frozen=True)
class Row:
    """One stack: a target with a database."""

    target: str
    database: str

    def __str__(self) -> str:
        return f"{self.target}-{self.database}"

    @property
    def managed(self) -> bool:
        """Whether the database is a service of the cloud, beside the server."""
        return self.database not in (*ON_SERVER, "sqlite")

    @property
    def lines(self) -> Iterator[str]:
        """What has to be shown of it; the firewalls know nothing of databases, so one row a target shows them."""
        yield from ("up", "again", "release", "destroy")
        if self.database == "sqlite":
            yield "ufw"
            if self.target in WITH_FIREWALL:
                yield "cloud firewall"
        else:
            yield "third machine"
        if self.managed:
            yield "tls"
        if self.managed or (self.database == "sqlite" and self.target != "existing"):
            yield "replaced"


ROWS = tuple(Row(target, database) for target in TARGETS for database in sorted(databases_of(target), reverse=True))


TABLE = Table("targets and databases", LINES, {str(row): tuple(row.lines) for row in ROWS})
