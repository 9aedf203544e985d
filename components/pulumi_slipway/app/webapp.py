"""`WebApp`: a Python web application on a server, and its releases."""

from __future__ import annotations

import json

import pulumi
import pulumi_random as random

from ..observe import claim_serial
from ..remote import Target, agent, presence
from . import memory, needs, recipe
from .arguments import WebAppArgs
from .checked import CheckedApp, check
from .database import app_database, check_database, looked_at
from .names import names_of, site_spec
from .observed import observed, serial
from .origin import find_origin, note_origin
from .plan import fingerprints
from .release import release_id
from .release_step import release_parts, release_step, release_variables
from .site import render_site
from .site_step import site_step
from .tell import tell_changes, tell_first

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
        variables = release_variables(app, secret_key, database.variables, environment)
        wanted = pulumi.Output.unsecret(
            pulumi.Output.all(variables, digest_key).apply(
                lambda pair: release_id(release_parts(app), pair[0], pair[1])
            )
        )
        marks = pulumi.Output.unsecret(
            pulumi.Output.all(variables, digest_key).apply(lambda pair: fingerprints(pair[0], pair[1]))
        )
        files = target.host.apply(lambda host: render_site(site_spec(app, host["address"])))
        target.host.apply(lambda host: tell_first(app, origin, host, self), run_with_unknowns=True)
        found = observed(app, target, files)
        if found is not None:
            found = needs.looked_at(app, found, args.get("image"), self)
            found.apply(lambda known: memory.tell(app, known, self))
            tell_changes(app, origin, found, files, wanted, marks, self)

        brought = agent(f"{name}-1-agent", target, self)
        claimed = serial(found, app.name, claim_serial)
        claim = presence(
            f"{name}-1-claim",
            target,
            "claim",
            "remove",
            subject=app.name,
            summary=claimed.apply(lambda number: f"{app.name} (serial {number})"),
            # an app that is renamed, or taken off a server that stays, leaves its data there: they may be all there is
            document={"app": app.name, "owner": owner, "serial": claimed, "keep_data": True},
            parent=self,
            depends_on=[brought],
        )
        site = site_step(f"{name}-1-site", app, target, owner, files, found, parent=self, depends_on=[claim])
        release = release_step(
            f"{name}-1-release",
            app,
            target,
            owner,
            wanted,
            variables,
            marks,
            looked_at(app, database, found, environment, self),
            found,
            parent=self,
            depends_on=[site],
        )
        answer = release.stdout.apply(json.loads)
        self.release = answer["release"]
        self.url = target.host.apply(lambda host: f"https://{names_of(app, host['address'])[0]}/")
        self.certificate = site.stdout.apply(lambda text: str(json.loads(text)["certificate"]))
        self.register_outputs({"url": self.url, "release": self.release, "certificate": self.certificate})
