"""The step that brings a site's files to the server: nginx, supervisor, the certificate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

from ..observe import Observation, site_serial
from ..remote import Target, step
from .checked import CheckedApp
from .names import names_of, split
from .observed import digests, serial
from .site import ManagedFile


def site_step(
    name: str,
    app: CheckedApp,
    target: Target,
    owner: pulumi.Output[str],
    files: pulumi.Output[dict[str, ManagedFile]],
    observed: pulumi.Output[Observation] | None,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> Any:
    wanted = files.apply(digests)
    number = serial(observed, wanted, site_serial)

    def document(values: Sequence[Any]) -> dict[str, Any]:
        files, host, owner, number = values
        names, addresses = split(names_of(app, host["address"]))
        return {
            "app": app.name,
            "owner": owner,
            "serial": number,
            "files": {path: {"content": file.content, "mode": file.mode} for path, file in files.items()},
            "certificate": {"names": names, "addresses": addresses},
        }

    return step(
        name,
        target,
        "site",
        summary=pulumi.Output.all(wanted, number).apply(lambda pair: _summary(app.name, pair[0], pair[1])),
        document=pulumi.Output.all(files, target.host, owner, number).apply(document),
        parent=parent,
        depends_on=depends_on,
    )


def _summary(app: str, wanted: dict[str, str], number: int) -> str:
    files = " ".join(f"{path}={digest[:8]}" for path, digest in sorted(wanted.items()))
    return f"{app} (serial {number}): {files}"
