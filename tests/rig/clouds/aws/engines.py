"""What RDS (and Lightsail, whose databases are RDS's) demands of engine, sizes, names and passwords, and the parameters
of engines.

Sources: the API reference, CreateDBInstance; the RDS user guide, "Quotas and constraints for Amazon RDS", "Amazon RDS
DB instance storage", "Working with parameters"; aws-cloudformation/cfn-lint #4425 (reserved names, tried out there).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ...values import Properties
from . import catalog
from .common import refusal

PORTS = {"postgres": 5432, "mysql": 3306}
PASSWORDS = {"postgres": (8, 128), "mysql": (8, 41)}
USERNAMES = {"postgres": 63, "mysql": 16}
DATABASES = {"postgres": 63, "mysql": 64}
RESERVED = {
    "postgres": ("rdsadmin", "admin", "rds_superuser", "rds_replication", "rds_password", "user", "all", "public"),
    "mysql": ("rdsadmin", "rdsrepladmin", "mysql", "sys", "all", "user", "select"),
}
MYSQL_SYSTEM = ("mysql", "information_schema", "performance_schema", "sys", "innodb")
STORAGE = {"gp2": (20, 65536), "gp3": (20, 65536), "io1": (100, 65536), "io2": (100, 65536), "standard": (5, 3072)}
"""GiB, least and greatest, for MySQL and PostgreSQL."""
FORCE_TLS = {"postgres": "rds.force_ssl", "mysql": "require_secure_transport"}

DYNAMIC = {
    "postgres": (
        "autovacuum_naptime", "checkpoint_timeout", "default_statistics_target", "effective_cache_size",
        "idle_in_transaction_session_timeout", "idle_session_timeout", "lock_timeout", "log_connections",
        "log_disconnections", "log_lock_waits", "log_min_duration_statement", "log_statement", "log_temp_files",
        "maintenance_work_mem", "max_wal_size", "random_page_cost", "rds.force_ssl", "rds.log_retention_period",
        "ssl_min_protocol_version", "statement_timeout", "timezone", "work_mem",
    ),
    "mysql": (
        "character_set_client", "character_set_connection", "character_set_database", "character_set_results",
        "character_set_server", "collation_connection", "collation_server", "general_log",
        "innodb_buffer_pool_size", "interactive_timeout", "log_output", "long_query_time", "max_allowed_packet",
        "max_connections", "require_secure_transport", "slow_query_log", "sql_mode", "time_zone",
        "transaction_isolation", "wait_timeout",
    ),
}  # fmt: skip
STATIC = {
    "postgres": ("max_connections", "shared_buffers", "shared_preload_libraries", "rds.logical_replication"),
    "mysql": ("innodb_log_file_size", "lower_case_table_names", "performance_schema", "tls_version"),
}
"""Parameters that the stand-in knows, by whether they change without a restart."""


def version(doing: str, engine: str, wanted: str | None) -> str:
    """The full version, or a refusal."""
    if engine not in catalog.VERSIONS:
        text = f"Invalid DB engine: {engine}; of the engines this stand-in has {', '.join(catalog.VERSIONS)}"
        raise refusal(doing, "InvalidParameterValue", text)
    found = catalog.engine_version(engine, wanted)
    if found is None:
        raise refusal(doing, "InvalidParameterCombination", f"Cannot find version {wanted} for {engine}")
    return found


def check(doing: str, inputs: Properties) -> None:
    """Refuse what the service refuses of one request, before anything is made."""
    engine, kind = inputs["engine"], inputs.get("storageType", "gp2")
    if catalog.database_class(inputs["instanceClass"]) is None:
        text = f"Invalid DB Instance class: {inputs['instanceClass']}"
        raise refusal(doing, "InvalidParameterValue", text)
    least, greatest = STORAGE[kind]
    size = inputs["allocatedStorage"]
    if not least <= size <= greatest:
        text = f"Invalid storage size for engine name {engine} and storage type {kind}: {size}"
        raise refusal(doing, "InvalidParameterCombination", text)
    most = inputs.get("maxAllocatedStorage")
    if most and most < size * 1.1:
        text = f"Max storage size must be greater than storage size by at least 10%: {most} is not, of {size}"
        raise refusal(doing, "InvalidParameterCombination", text)
    if len(inputs["identifier"]) > 63:
        text = (
            "The parameter DBInstanceIdentifier is not a valid identifier. Identifiers must have at most 63 characters"
        )
        raise refusal(doing, "InvalidParameterValue", text)
    if "port" in inputs and not 1150 <= inputs["port"] <= 65535:
        text = f"Invalid database port: {inputs['port']}. Must be between 1150 and 65535"
        raise refusal(doing, "InvalidParameterValue", text)
    certificate = inputs.get("caCertIdentifier")
    if certificate and not re.fullmatch(r"rds-ca-(?:rsa2048|rsa4096|ecc384)-g1", certificate):
        raise refusal(doing, "CertificateNotFound", f"Certificate not found: {certificate}")
    check_names(doing, engine, inputs["username"], inputs.get("dbName", ""))
    check_password(doing, engine, inputs["password"])


def check_names(doing: str, engine: str, username: str, database: str) -> None:
    """The rules for the master user and the first database."""
    if not re.fullmatch(rf"[A-Za-z]\w{{0,{USERNAMES[engine] - 1}}}", username, re.ASCII):
        text = (
            f"The parameter MasterUsername is not valid: it must begin with a letter, be of letters, digits and "
            f"underscores, and have at most {USERNAMES[engine]} characters"
        )
        raise refusal(doing, "InvalidParameterValue", text)
    if username.lower() in RESERVED[engine] or (engine == "postgres" and username.lower().startswith("pg_")):
        text = f"MasterUsername {username} cannot be used as it is a reserved word used by the engine"
        raise refusal(doing, "InvalidParameterValue", text)
    if database and not re.fullmatch(rf"[A-Za-z]\w{{0,{DATABASES[engine] - 1}}}", database, re.ASCII):
        text = (
            f"DBName must begin with a letter, contain only alphanumeric characters and underscores, and have at most "
            f"{DATABASES[engine]} of them"
        )
        raise refusal(doing, "InvalidParameterValue", text)
    if database.lower() in (MYSQL_SYSTEM if engine == "mysql" else ("rdsadmin", "template0", "template1")):
        text = f"Database name {database} cannot be used. It is a reserved word for this engine"
        raise refusal(doing, "InvalidParameterValue", text)


def check_password(doing: str, engine: str, password: str) -> None:
    """The rules for the master user's password."""
    least, most = PASSWORDS[engine]
    begin = "The parameter MasterUserPassword is not a valid password"
    if not least <= len(password) <= most:
        why = f"shorter than {least}" if len(password) < least else f"longer than {most}"
        raise refusal(doing, "InvalidParameterValue", f"{begin} because it is {why} characters.")
    if not re.fullmatch(r"[!-~]*", password) or set(password) & set('/@" '):
        text = "Only printable ASCII characters besides '/', '@', '\"', ' ' may be used."
        raise refusal(doing, "InvalidParameterValue", f"{begin}. {text}")


@dataclass(frozen=True)
class Parameters:
    """A parameter group: its name, its family, and (name, value, method) of what is set in it."""

    name: str
    family: str
    settings: tuple[tuple[str, str, str], ...]

    @classmethod
    def of(cls, group: Properties) -> Parameters:
        """The group that these inputs or attributes are."""
        listed = group.get("parameters") or []
        return cls(group["name"], group["family"], tuple((p["name"], p["value"], p["applyMethod"]) for p in listed))

    @property
    def engine(self) -> str:
        """The engine of the family."""
        return next(engine for engine in catalog.VERSIONS if self.family.startswith(engine))

    def check(self, doing: str) -> None:
        """Refuse parameters that there are not, and methods that they do not have."""
        for name, _, method in self.settings:
            if name not in (*DYNAMIC[self.engine], *STATIC[self.engine]):
                text = (
                    f"Could not find parameter with name: {name}, says this stand-in, which does not know all of them"
                )
                raise refusal(doing, "InvalidParameterValue", text)
            if method not in ("immediate", "pending-reboot"):
                raise refusal(doing, "InvalidParameterValue", f"Invalid apply method: {method}")
            if method == "immediate" and name in STATIC[self.engine]:
                text = f"cannot use immediate apply method for static parameter {name}"
                raise refusal(doing, "InvalidParameterCombination", text)

    def at_once(self) -> Parameters:
        """What changes without a restart."""
        return Parameters(self.name, self.family, tuple(s for s in self.settings if s[2] == "immediate"))

    def of_server(self, instance_class: str) -> dict[str, Any]:
        """What the rig's database servers can be told: whether TLS is forced, and how many may connect.

        Defaults: `rds.force_ssl` is 1 from PostgreSQL 15 on (user guide, "Using SSL with a PostgreSQL DB instance"),
        `require_secure_transport` 0; `max_connections` LEAST(memory/9531392, 5000), memory/12582880 with MySQL.
        """
        given = {name: value for name, value, _ in self.settings}
        memory = (catalog.database_class(instance_class) or {})["MemoryInfo"]["SizeInMiB"] * 2**20
        if self.engine == "postgres":
            connections, force = min(memory // 9531392, 5000), int(self.family.removeprefix("postgres")) >= 15
        else:
            connections, force = memory // 12582880, False
        wanted = given.get(FORCE_TLS[self.engine])
        limit = given.get("max_connections", "")
        return {
            "max_connections": int(limit) if limit.isdigit() else connections,
            "force_tls": force if wanted is None else wanted.lower() in ("1", "on"),
        }
