"""The database of an app: its variables and its CA file, and what is looked at before a release changes over to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi

from ..databases.contract import ENGINES, Database, sqlite_database
from ..databases.moved import OWN, identity, silent_change
from ..databases.url import ca_path, check_driver, database_variables
from ..observe import Observation
from .arguments import WebAppArgs
from .checked import CheckedApp
from .dependencies import choose_driver, missing_driver
from .pool import POOL, pool_advice, worker_count
from .site import SiteSpec
from .snapshot import cannot_dump


@dataclass(frozen=True)
class AppDatabase:
    """What an app and its server are told of the app's database."""

    described: pulumi.Output[Database]
    """Holds no secret. In a preview some of it may be unknown."""
    variables: pulumi.Output[dict[str, str]]
    """Secret."""

    @property
    def identity(self) -> pulumi.Output[dict[str, Any]]:
        return self.described.apply(identity, run_with_unknowns=True)


def check_database(args: WebAppArgs) -> None:
    """Raises `ValueError` for a database without its password, and the other way round."""
    database, password = args.get("database"), args.get("database_password")
    if database is None and password is not None:
        raise ValueError("database_password: there is no database that it is for; set database, or leave it out")
    if database is not None and password is None and not _is_sqlite(database):
        raise ValueError("database_password: missing; set it to database.password of the database")
    engine = database.get("engine") if isinstance(database, Mapping) else None
    if isinstance(engine, str):
        if engine not in ENGINES:
            raise ValueError(f"database.engine: {engine!r} is not known; take one of {', '.join(ENGINES)}")
        check_driver(args.get("database_driver", "plain"), engine)


def app_database(app: CheckedApp, args: WebAppArgs) -> AppDatabase:
    """The database that `args` name; else the one that the app's own `DATABASE_URL` names; else SQLite."""
    given: pulumi.Input[Any] | None = args.get("database")
    if given is None:
        given = pulumi.Output.unsecret(
            pulumi.Output.from_input(args.get("environment", {})).apply(
                lambda variables: OWN if "DATABASE_URL" in variables else sqlite_database(app.name)
            )
        )
    described = cast("pulumi.Output[Database]", pulumi.Output.from_input(given))
    described["engine"].apply(lambda engine: _check_fits(app, engine))  # known in a preview, whatever else is not
    password = args.get("database_password", "")
    variables = pulumi.Output.all(described, password).apply(lambda known: _variables(app, known[0], known[1]))
    return AppDatabase(described, pulumi.Output.secret(variables))


def certificates(app: CheckedApp, database: Database) -> dict[str, str]:
    """The files that the app's server needs to verify its database: path → PEM."""
    authority = database["ca_certificate"]
    return {ca_path(app.name, authority): authority} if authority else {}


def looked_at(
    app: CheckedApp,
    database: AppDatabase,
    observed: pulumi.Output[Observation] | None,
    environment: pulumi.Input[Mapping[str, pulumi.Input[str]]],
    resource: pulumi.Resource,
) -> pulumi.Output[Database]:
    """The database, once nothing speaks against releasing the app onto it: known in good time to be told in a preview,
    also of a database that is yet to be made. Advice is a warning; a silent change of the database an error."""
    if observed is None:
        return database.described

    def advise(known: Sequence[Any]) -> None:
        facts, connections, concurrency = known
        message = _pool_advice(app, facts, connections, concurrency)
        if message:
            pulumi.log.warn(message, resource)

    def look(known: Sequence[Any]) -> Any:
        live, facts, described = known
        if not pulumi.contains_unknowns(live) and isinstance(described, Mapping):
            _look(app, live, described, resource)
            _look_at_snapshot(app, facts, described)
        return described

    concurrency = pulumi.Output.from_input(environment).apply(lambda given: str(given.get("WEB_CONCURRENCY", "")))
    pulumi.Output.all(observed["facts"], database.described["connections"], concurrency).apply(advise)
    looked = pulumi.Output.all(observed["database"], observed["facts"], _partly(database.described))
    return looked.apply(look, run_with_unknowns=True)


def _partly(output: pulumi.Output[Any]) -> pulumi.Output[Any]:
    """The output such that what is known of it is seen beside others that are unknown."""
    return output.apply(lambda value: value, run_with_unknowns=True)


def _look(app: CheckedApp, live: Mapping[str, Any], described: Mapping[str, Any], resource: pulumi.Resource) -> None:
    message = silent_change(app.name, live, identity(described), app.database_moved_from)
    if message:
        raise pulumi.RunError(message)
    engine = described["engine"]
    if not pulumi.contains_unknowns(engine):
        missing = missing_driver(engine, app.dependencies.names)
        if missing:
            pulumi.log.warn(f"{app.name}: {missing}", resource)


def _look_at_snapshot(app: CheckedApp, facts: Mapping[str, Any], described: Mapping[str, Any]) -> None:
    known = not pulumi.contains_unknowns([facts, described["engine"], described["host"]])
    message = cannot_dump(described, facts, app.system_packages) if app.steps.snapshot and known else ""
    if message:
        raise pulumi.RunError(f"{app.name}: {message}")


def _pool_advice(app: CheckedApp, facts: Mapping[str, Any], connections: int, concurrency: str) -> str:
    if not concurrency and not (facts.get("cpus") and facts.get("memory_mb")):
        return ""
    options = app.recipe.options
    said = concurrency or str(options.get("workers", ""))
    workers = worker_count(facts.get("cpus", 0), facts.get("memory_mb", 0), said, SiteSpec.max_workers)
    each = POOL if app.recipe.kind == "asgi" else int(options.get("threads", SiteSpec.threads))
    return pool_advice(app.name, connections, workers, each, 1 if app.strategy == "stop-first" else 2)


def _check_fits(app: CheckedApp, engine: str) -> None:
    try:
        if app.database_driver is not None and engine != OWN["engine"]:
            check_driver(app.database_driver, engine)
    except ValueError as error:
        raise pulumi.RunError(f"{app.name}: {error}") from None


def _variables(app: CheckedApp, database: Database, password: str) -> dict[str, str]:
    if database["engine"] == OWN["engine"]:
        return {}
    driver = app.database_driver or choose_driver(database["engine"], app.dependencies.names)
    return database_variables(database, password, driver, ca_path(app.name, database["ca_certificate"]))


def _is_sqlite(database: object) -> bool:
    return isinstance(database, Mapping) and database.get("engine") == "sqlite"
