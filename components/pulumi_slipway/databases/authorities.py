"""Amazon's certificate authorities for databases, by region. Pure functions."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

IDENTIFIER = "rds-ca-rsa2048-g1"
"""What Amazon calls the authorities that are in the file."""

_FILE = Path(__file__).with_name("rds-roots.pem")
_ENTRY = re.compile(r"^# (\S+)\n(-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n)", re.M)


@cache
def authorities() -> dict[str, str]:
    """Region → PEM."""
    return dict(_ENTRY.findall(_FILE.read_text()))


def authority_of(arn: str) -> str:
    """The authority of the region that a database is in, which its ARN says; raises `ValueError` without one."""
    region = arn.split(":")[3]
    found = authorities().get(region)
    if found is None:
        raise ValueError(
            f"ca_certificate: missing, and that of region {region!r} is not among those that Slipway has; give the "
            f"text of Amazon's bundle for the region (its {IDENTIFIER})"
        )
    return found
