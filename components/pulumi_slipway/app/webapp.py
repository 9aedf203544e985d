"""`WebApp`: a Python web application on a server, and its releases."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

import pulumi
import pulumi_random as random

from ..databases.contract import Database
from ..databases.moved import identity
from ..observe import Observation, claim_serial, observe, release_serial, site_serial
from ..places import INCOMING
from ..remote import Target, agent, presence, push, step
from . import memory, needs, recipe
from .arguments import CheckedApp, WebAppArgs, check
from .database import app_database, certificates, check_database, looked_at
from .origin import Origin, commits_between, find_origin, note_origin
from .plan import fingerprints, first_plan, release_plan, site_plan
from .recipe import recipe_document, recipe_parts
from .release import release_id, summary
from .site import ManagedFile, SiteSpec, render_site
from .steps import steps_document, steps_parts

__all__ = ["WebApp", "WebAppArgs"]


class WebApp(pulumi.ComponentResource):
    """An application behind nginx, with HTTPS, whose every change is a release without a failed request.

    Order on the server: agent (this package's version of it) → claim (users, folders) → site (nginx, supervisor,
    certificate) → release (stage, migrate, start, switch, drain).
    """

    name: str
    """The app's name on the server."""
    url: pulumi.Output[str]
    release: pulumi.Output[str]
    """Id of the live release."""
    certificate: pulumi.Output[str]
    """The self-signed certificate (PEM), for those who want to trust it."""

    def __init__(
        self,
        name: str,
        args: WebAppArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        checked: CheckedApp | None = None,
    ) -> None:
        """`checked` is what `check` has made of the same `args` already, which packs the app's source."""
        app = checked or check(args)
        check_database(args)
        super().__init__("slipway:index:WebApp", name, None, opts)
        target = Target(
            pulumi.Output.from_input(args["host"]),  # type: ignore[arg-type]
            pulumi.Output.secret(args["private_key"]),
            args.get("machine"),
        )
        self.name = app.name
        origin = find_origin(app.folder, app.ref)
        note_origin(app.archive.content, origin)
        recipe.tell(app.name, app.recipe, self)
        needs.tell(app, self)
        child = pulumi.ResourceOptions(parent=self)
        owner = random.RandomId(f"{name}-owner", byte_length=8, opts=child).hex
        # RandomPassword, not RandomBytes, which has its value as its id, in clear
        digest_key = random.RandomPassword(f"{name}-digest-key", length=40, special=False, opts=child).result
        secret_key = random.RandomPassword(f"{name}-secret-key", length=50, special=False, opts=child).result

        environment = args.get("environment", {})
        database = app_database(app, args)
        variables = _variables(app, secret_key, database.variables, environment)
        wanted = pulumi.Output.unsecret(
            pulumi.Output.all(variables, digest_key).apply(lambda pair: release_id(_parts(app), pair[0], pair[1]))
        )
        marks = pulumi.Output.unsecret(
            pulumi.Output.all(variables, digest_key).apply(lambda pair: fingerprints(pair[0], pair[1]))
        )
        files = target.host.apply(lambda host: render_site(_site_spec(app, host["address"])))
        target.host.apply(lambda host: _tell_first(app, origin, host, self), run_with_unknowns=True)
        observed = _observed(app, target, files)
        if observed is not None:
            observed = needs.looked_at(app, observed, args.get("image"), self)
            observed.apply(lambda found: memory.tell(app, found, self))
            _tell(app, origin, observed, files, wanted, marks, self)

        brought = agent(f"{name}-1-agent", target, self)
        claimed = _serial(observed, app.name, claim_serial)
        claim = presence(
            f"{name}-1-claim",
            target,
            "claim",
            "remove",
            subject=app.name,
            summary=claimed.apply(lambda serial: f"{app.name} (serial {serial})"),
            # an app that is renamed, or taken off a server that stays, leaves its data there: they may be all there is
            document={"app": app.name, "owner": owner, "serial": claimed, "keep_data": True},
            parent=self,
            depends_on=[brought],
        )
        site = _site(f"{name}-1-site", app, target, owner, files, observed, parent=self, depends_on=[claim])
        release = _release(
            f"{name}-1-release",
            app,
            target,
            owner,
            wanted,
            variables,
            marks,
            looked_at(app, database, observed, environment, self),
            observed,
            parent=self,
            depends_on=[site],
        )
        answer = release.stdout.apply(json.loads)
        self.release = answer["release"]
        self.url = target.host.apply(lambda host: f"https://{_names(app, host['address'])[0]}/")
        self.certificate = site.stdout.apply(lambda text: str(json.loads(text)["certificate"]))
        self.register_outputs({"url": self.url, "release": self.release, "certificate": self.certificate})


def _site(
    name: str,
    app: CheckedApp,
    target: Target,
    owner: pulumi.Output[str],
    files: pulumi.Output[dict[str, ManagedFile]],
    observed: pulumi.Output[Observation] | None,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> Any:
    digests = files.apply(_digests)
    serial = _serial(observed, digests, site_serial)

    def document(values: Sequence[Any]) -> dict[str, Any]:
        files, host, owner, serial = values
        names, addresses = _split(_names(app, host["address"]))
        return {
            "app": app.name,
            "owner": owner,
            "serial": serial,
            "files": {path: {"content": file.content, "mode": file.mode} for path, file in files.items()},
            "certificate": {"names": names, "addresses": addresses},
        }

    return step(
        name,
        target,
        "site",
        summary=pulumi.Output.all(digests, serial).apply(
            lambda pair: (
                f"{app.name} (serial {pair[1]}): "
                + " ".join(f"{path}={digest[:8]}" for path, digest in sorted(pair[0].items()))
            )
        ),
        document=pulumi.Output.all(files, target.host, owner, serial).apply(document),
        parent=parent,
        depends_on=depends_on,
    )


def _release(
    name: str,
    app: CheckedApp,
    target: Target,
    owner: pulumi.Output[str],
    wanted: pulumi.Output[str],
    variables: pulumi.Output[dict[str, str]],
    marks: pulumi.Output[dict[str, str]],
    database: pulumi.Output[Database],
    observed: pulumi.Output[Observation] | None,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> Any:
    serial = _serial(observed, wanted, release_serial)

    def document(values: Sequence[Any]) -> dict[str, Any]:
        host, owner, wanted, serial, variables, marks, database = values
        return {
            "app": app.name,
            "owner": owner,
            "release": wanted,
            "serial": serial,
            **needs.document(app),
            "environment": variables,
            "fingerprints": marks,
            "database": {**identity(database), "moved_from": app.database_moved_from},
            "certificates": certificates(app, database),
            **recipe_document(app.recipe, app.steps.force, app.memory),
            **steps_document(app.steps, app.recipe),
            **app.processes.document(),
            "health": {
                "path": app.health.path,
                "status": app.health.status,
                "text": app.health.text,
                "timeout": app.health.timeout,
                "host": _names(app, host["address"])[0],
            },
            "strategy": app.strategy,
            "drain": app.drain,
            "keep": app.keep,
            "lock_wait": app.lock_wait,
        }

    return push(
        name,
        target,
        "release",
        file={
            "content": app.archive.content,
            "path": _incoming(app),
            "unless": wanted.apply(lambda release: f"/srv/{app.name}/releases/{release}/release.json"),
        },
        summary=pulumi.Output.unsecret(
            pulumi.Output.all(wanted, serial, variables).apply(
                lambda values: summary(app.name, values[0], values[1], list(values[2]), app.archive.files)
            )
        ),
        document=pulumi.Output.all(target.host, owner, wanted, serial, variables, marks, database).apply(document),
        parent=parent,
        depends_on=depends_on,
    )


def _variables(
    app: CheckedApp,
    secret_key: pulumi.Output[str],
    database: pulumi.Output[dict[str, str]],
    given: pulumi.Input[Mapping[str, pulumi.Input[str]]],
) -> pulumi.Output[dict[str, str]]:
    """Our defaults, and what was found to be needed, under what the user gave; secret as a whole."""

    def merge(values: Sequence[Any]) -> dict[str, str]:
        key, database, given = values
        return {"SECRET_KEY": key, **database, **app.recipe.variables} | {
            name: str(value) for name, value in given.items()
        }

    return pulumi.Output.secret(pulumi.Output.all(secret_key, database, given).apply(merge))


def _parts(app: CheckedApp) -> dict[str, Any]:
    """What a release consists of besides its variables."""
    return {
        "source": app.archive.content,
        **recipe_parts(app.recipe, app.steps.force),
        **steps_parts(app.steps),
        "needs": needs.document(app),
        "processes": app.processes.document(),
        "memory": app.memory,
    }


def _site_spec(app: CheckedApp, address: str) -> SiteSpec:
    names, addresses = _split(_names(app, address))
    media = app.steps.media
    return SiteSpec(
        app=app.name,
        domains=tuple(names),
        addresses=tuple(addresses),
        static_url=app.recipe.static_url if app.recipe.static_folder else None,
        media_url=media.url if media else None,
        media_folder=media.folder if media else SiteSpec.media_folder,
        graceful_timeout=app.drain,
    )


def _names(app: CheckedApp, address: str) -> list[str]:
    """What the app is called by: its domains, else the server's address."""
    return list(app.domains) or [address]


def _split(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Host names and IP addresses: a certificate names them differently."""
    addresses = [name for name in names if _is_address(name)]
    return [name for name in names if name not in addresses], addresses


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _incoming(app: CheckedApp) -> str:
    return f"{INCOMING}/{app.name}-{app.archive.content[:32]}.tar.gz"


def _checked(observed: Observation) -> Observation:
    """A host that cannot be asked spoils an up, but not a preview, which then shows that all steps would run."""
    if observed["error"]:
        message = f"The server could not be observed: {observed['error']}."
        if not pulumi.runtime.is_dry_run():
            raise pulumi.RunError(
                f"{message} Make it reachable, or set observe to false to trust the last known state."
            )
        pulumi.log.warn(f"{message} What is on it is unknown: the preview shows every step as to be run.")
    return observed


def _serial(observed: pulumi.Output[Observation] | None, wanted: pulumi.Input[Any], decide: Any) -> pulumi.Output[int]:
    if observed is None:
        return pulumi.Output.from_input(0)
    now = int(time.time())
    return pulumi.Output.all(observed, wanted).apply(lambda pair: int(decide(pair[0], pair[1], now)))


def _observed(
    app: CheckedApp, target: Target, files: pulumi.Output[dict[str, ManagedFile]]
) -> pulumi.Output[Observation] | None:
    if not app.observe:
        return None
    hosts = observe([target], app.name, app.archive.content, files.apply(_digests))
    return hosts.apply(lambda hosts: _checked(hosts[0]))


def _digests(files: Mapping[str, ManagedFile]) -> dict[str, str]:
    return {path: file.sha256 for path, file in files.items()}


def _tell_first(app: CheckedApp, origin: Origin, host: Any, resource: pulumi.Resource) -> None:
    """Says what will be released to a server that there is none of yet, of which nothing else can be told."""
    if pulumi.contains_unknowns(host):
        pulumi.log.info("\n".join(first_plan(app.name, app.archive.files, origin)), resource)


def _tell(
    app: CheckedApp,
    origin: Origin,
    observed: pulumi.Output[Observation],
    files: pulumi.Output[dict[str, ManagedFile]],
    wanted: pulumi.Output[str],
    marks: pulumi.Output[dict[str, str]],
    resource: pulumi.Resource,
) -> None:
    """Says what will change on the server, and what was changed there; nothing when all is as wanted."""

    def say(lines: Sequence[str]) -> None:
        if lines:
            pulumi.log.info("\n".join(lines), resource)

    def tell_site(values: Sequence[Any]) -> None:
        found, files = values
        if not found["error"]:
            say(site_plan(app.name, found, {path: (file.sha256, file.content) for path, file in files.items()}))

    def tell_release(values: Sequence[Any]) -> None:
        found, wanted, marks = values
        if not found["error"]:
            commits = None
            if found["commit"] and found["release"] != wanted:
                commits = commits_between(app.folder, found["commit"], origin.commit)
            say(release_plan(app.name, found, wanted, marks, origin, commits))

    pulumi.Output.all(observed, files).apply(tell_site)
    pulumi.Output.all(observed, wanted, marks).apply(tell_release)
