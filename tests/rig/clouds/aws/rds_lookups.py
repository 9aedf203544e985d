"""Questions for database engines: hashicorp/terraform-provider-aws, `rds/engine_version_data_source.go`."""

from __future__ import annotations

from ...resources import Call, RefusedError
from ...values import Properties
from . import catalog
from .common import AwsFunction
from .questions import all_known


class GetEngineVersion(AwsFunction):
    """One version of a database engine."""

    takes = ("defaultOnly", "engine", "includeAll", "latest", "parameterGroupFamily", "preferredVersions", "region",
             "version")  # fmt: skip

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        region = self.region(all_known(inputs), call)
        engine = inputs["engine"]
        versions = [v for minors in catalog.VERSIONS.get(engine, {}).values() for v in minors]
        found = [version for version in versions if self._wanted(inputs, engine, version)]
        if not found:
            raise RefusedError(f"no RDS engine versions match the criteria: {engine} {inputs.get('version', '')}")
        preferred = [version for version in inputs.get("preferredVersions", []) if version in found]
        if not preferred and len(found) > 1 and not inputs.get("latest"):
            raise RefusedError(
                f"multiple RDS engine versions ({', '.join(found)}) match the criteria; try a different search or set "
                "`latest` to true"
            )
        version = preferred[0] if preferred else max(found, key=number)
        later = [other for other in versions if number(other) > number(version)]
        family = catalog.family(engine, version)
        minor = [other for other in later if catalog.family(engine, other) == family]
        return {
            **inputs,
            "id": version,
            "region": region,
            "version": version,
            "versionActual": version,
            "parameterGroupFamily": family,
            "engineDescription": {"postgres": "PostgreSQL", "mysql": "MySQL Community Edition"}[engine],
            "versionDescription": f"{engine} {version}",
            "status": "available",
            "defaultCharacterSet": "",
            "supportsReadReplica": True,
            "supportsLogExportsToCloudwatch": True,
            "supportsGlobalDatabases": False,
            "supportsParallelQuery": False,
            "validUpgradeTargets": later,
            "validMinorTargets": minor,
            "validMajorTargets": [other for other in later if other not in minor],
        }

    def _wanted(self, inputs: Properties, engine: str, version: str) -> bool:
        wanted = inputs.get("version")
        if wanted and version != wanted and not version.startswith(f"{wanted}."):
            return False
        family = inputs.get("parameterGroupFamily")
        if family and catalog.family(engine, version) != family:
            return False
        default = catalog.engine_version(engine, wanted if wanted in catalog.VERSIONS[engine] else None)
        return not inputs.get("defaultOnly") or version == default


def number(version: str) -> tuple[int, ...]:
    """A version as something to compare."""
    return tuple(map(int, version.split(".")))
