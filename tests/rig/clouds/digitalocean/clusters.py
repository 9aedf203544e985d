"""Managed database clusters: a PostgreSQL or MariaDB server with TLS, its databases, users and trusted sources.

The version is what was asked for; the server is that of the rig's Debian. A cluster of several nodes has one machine.
"""

from __future__ import annotations

import secrets
import string
import uuid
from collections.abc import Iterator
from typing import ClassVar

from ...resources import Call, RefusedError
from ...values import UNKNOWN, Properties
from .. import databases
from ..account import Account
from ..rented import EVERYBODY, Thing
from . import catalog, rules, service, traffic

ADMINISTRATOR, FIRST_DATABASE, PORT = "doadmin", "defaultdb", 25060
"""docs.digitalocean.com, "How to Manage PostgreSQL Users and Databases"; the port: `responses/database_cluster.yml`."""
TRUSTED = 100
"""openapi, `databases_update_firewall_rules.yml`: "The firewall is limited to 100 rules"."""
_ELSEWHERE = ("redis", "valkey", "mongodb", "kafka", "opensearch")


class DatabaseCluster(service.DigitalOceanResource):
    """A database server, which everybody may reach until there are trusted sources."""

    noun = "database cluster"
    path = "/v2/databases"
    autoname: ClassVar = {"name": 255}
    takes = ("engine", "name", "nodeCount", "privateNetworkUuid", "projectId", "region", "size", "tags", "version",
             "maintenanceWindows")  # fmt: skip
    unordered = ("tags",)
    # `database/resource_database_cluster.go`: what is ForceNew there
    replacing = ("name", "engine", "privateNetworkUuid", "projectId")

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from service.empty_failures(inputs, "name", "engine", "size", "region", "privateNetworkUuid", "projectId")
        yield from service.tags_failures(inputs)
        if not inputs.get("version"):
            yield "version", 'The argument "version" is required, but no definition was found.'
        if inputs["nodeCount"] == 0:
            yield "nodeCount", "expected a non-zero value"
        if inputs["engine"] in _ELSEWHERE:
            yield "engine", f"not supported by this stand-in: the rig has no {inputs['engine']}"

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        # The password is known to the state alone
        return super().create({**inputs, "password": _password()}, call)

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        region = inputs["region"].lower()
        name, engine, plan = inputs["name"], inputs["engine"], inputs["size"]
        rules.cluster(name, engine, inputs["version"], plan, region, inputs["nodeCount"])
        if name in [thing["name"] for thing in account.things(service.CLUSTER).values()]:
            raise rules.refuse("cluster name is not available")
        vpc = service.vpc_of(account, inputs.get("privateNetworkUuid"), region)
        _check_project(account, inputs.get("projectId"))
        server = databases.create(
            account,
            engine=catalog.ENGINES[engine].name,
            master_user=ADMINISTRATOR,
            master_password=inputs["password"],
            databases=[FIRST_DATABASE],
            port=PORT,
            max_connections=_connections(engine, plan),
            force_tls=True,
            public=True,
            sources=[EVERYBODY],
        )
        thing: Thing = {
            "database": server.name,
            "name": name,
            "engine": engine,
            "version": inputs["version"],
            "size": plan,
            "region": region,
            "nodes": inputs["nodeCount"],
            "vpc": vpc,
            "project": inputs.get("projectId", ""),
            "tags": inputs.get("tags", []),
            "databases": [FIRST_DATABASE],
            "users": [ADMINISTRATOR],
            "rules": [],
        }
        identity = str(uuid.uuid4())
        service.put(account, identity, service.CLUSTER, thing)
        return identity

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        thing = service.found(account, identity, service.CLUSTER)
        server = databases.get(account, thing["database"]) if thing else None
        if thing is None or server is None:
            return None
        password = state["password"]
        told = {
            "name": thing["name"],
            "engine": thing["engine"],
            "version": thing["version"],
            "size": thing["size"],
            "region": thing["region"],
            "nodeCount": thing["nodes"],
            "storageSizeMib": str(catalog.PLANS[thing["size"]].disk),
            "privateNetworkUuid": thing["vpc"],
            "projectId": thing["project"] or service.default_project(account),
            "clusterUrn": f"do:dbaas:{identity}",
            "host": server.public_address,
            "privateHost": server.address,
            "port": server.port,
            "user": ADMINISTRATOR,
            "password": password,
            "database": FIRST_DATABASE,
            "uri": _uri(thing, password, server.public_address, server.port),
            "privateUri": _uri(thing, password, server.address, server.port),
            "uiHost": "",
            "uiPort": 0,
            "uiUri": "",
            "uiDatabase": "",
            "uiUser": "",
            "uiPassword": "",
            "metricsEndpoints": [],
        }
        return {**told, "tags": thing["tags"]} if thing["tags"] or state.get("tags") else told

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        thing = service.needed(account, identity, service.CLUSTER, "cluster")
        if inputs["region"].lower() != thing["region"]:
            raise RefusedError("this stand-in does not migrate database clusters to another region")
        engine, plan, version = thing["engine"], inputs["size"], inputs["version"]
        rules.cluster(thing["name"], engine, version, plan, thing["region"], inputs["nodeCount"])
        was, wanted = catalog.PLANS[thing["size"]], catalog.PLANS[plan]
        if (wanted.memory, wanted.disk) < (was.memory, was.disk):
            # docs.digitalocean.com, "How to Resize": the size of a cluster's nodes cannot be decreased
            raise rules.refuse("invalid size: a cluster's nodes cannot become smaller")
        if _release(version) < _release(thing["version"]):
            raise rules.refuse("invalid cluster engine version: a cluster cannot go back to an older version")
        if plan != thing["size"]:
            databases.configure(account, thing["database"], max_connections=_connections(engine, plan))
        with service.changing(account, identity, service.CLUSTER, "cluster") as kept:
            kept.update(size=plan, version=version, nodes=inputs["nodeCount"], tags=inputs.get("tags", []))

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        thing = service.needed(account, identity, service.CLUSTER, "cluster")
        with account.locked(service.CLOUD):  # not while filters are derived
            databases.remove(account, thing["database"])
            account.drop(identity)


class _InCluster(service.DigitalOceanResource):
    """Something within a cluster, which goes with it."""

    what: ClassVar[str]
    kept_as: ClassVar[str]
    forever: ClassVar[str]
    path = "/v2/databases"
    autoname: ClassVar = {"name": 255}

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from service.empty_failures(inputs, "name", "clusterId")

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        with service.changing(account, inputs["clusterId"], service.CLUSTER, "cluster") as thing:
            rules.name_in_cluster(self.what, inputs["name"], thing[self.kept_as])
            thing[self.kept_as].append(inputs["name"])
        self.make(account, thing, inputs)
        return f"{inputs['clusterId']}/{self.what}/{inputs['name']}"

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        thing = service.found(account, state["clusterId"], service.CLUSTER)
        return self.tell(thing, state) if thing and state["name"] in thing[self.kept_as] else None

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        name = state["name"]
        with service.changing(account, state["clusterId"], service.CLUSTER, "cluster") as thing:
            if name not in thing[self.kept_as] or name == self.forever:
                raise rules.refuse(f"the {self.what} {name} cannot be deleted", 404)
            thing[self.kept_as].remove(name)
        self.unmake(account, thing, name)

    def make(self, account: Account, thing: Thing, inputs: Properties) -> None:
        """Make it in the server."""
        raise NotImplementedError

    def unmake(self, account: Account, thing: Thing, name: str) -> None:
        """Take it from the server."""
        raise NotImplementedError

    def tell(self, thing: Thing, state: Properties) -> Properties:
        """The outputs."""
        return {}


class DatabaseDb(_InCluster):
    """A database of a cluster; its owner is the administrator."""

    noun = "Database DB"
    what, kept_as, forever = "database", "databases", FIRST_DATABASE
    replacing = None

    def make(self, account: Account, thing: Thing, inputs: Properties) -> None:
        databases.create_database(account, thing["database"], inputs["name"])

    def unmake(self, account: Account, thing: Thing, name: str) -> None:
        databases.drop_database(account, thing["database"], name)


class DatabaseUser(_InCluster):
    """A user of a cluster, whose password the service makes.

    docs.digitalocean.com, "How to Manage PostgreSQL Users": "New users receive minimal permissions by default", which
    is, by PostgreSQL 15 and later, no right to make tables in any database; MySQL's users have all rights on all.
    """

    noun = "Database User"
    what, kept_as, forever = "user", "users", ADMINISTRATOR
    takes = ("clusterId", "name", "mysqlAuthPlugin")
    replacing = ("clusterId", "name")

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        yield from super().check(inputs)
        plugin = inputs.get("mysqlAuthPlugin", UNKNOWN)
        if plugin not in ("mysql_native_password", "caching_sha2_password", UNKNOWN):
            yield (
                "mysqlAuthPlugin",
                (
                    'expected mysql_auth_plugin to be one of ["mysql_native_password" "caching_sha2_password"], '
                    f"got {plugin}"
                ),
            )

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        return super().create({**inputs, "password": _password()}, call)

    def make(self, account: Account, thing: Thing, inputs: Properties) -> None:
        grants = ["*"] if thing["engine"] == "mysql" else []
        databases.create_user(account, thing["database"], inputs["name"], inputs["password"], grants=grants)

    def unmake(self, account: Account, thing: Thing, name: str) -> None:
        databases.drop_user(account, thing["database"], name)

    def tell(self, thing: Thing, state: Properties) -> Properties:
        told = {"role": "normal", "password": state["password"], "accessCert": "", "accessKey": ""}
        if thing["engine"] == "mysql":
            told["mysqlAuthPlugin"] = state.get("mysqlAuthPlugin", "caching_sha2_password")
        return told

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        raise RefusedError("this stand-in does not change how a user authenticates")


class DatabaseFirewall(service.DigitalOceanResource):
    """The trusted sources of a cluster: nobody else may connect. Without it, everybody may."""

    noun = "DatabaseFirewall"
    path = "/v2/databases"
    unordered = ("rules",)
    replacing = ("clusterId",)

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        wishes = inputs["rules"] if inputs["rules"] != UNKNOWN else []
        for index, rule in enumerate(wishes):
            kind = rule["type"] if rule != UNKNOWN else UNKNOWN
            if kind in ("k8s", "app"):
                yield f"rules[{index}].type", f"not supported by this stand-in: the rig has no {kind}"
            elif kind not in ("ip_addr", "droplet", "tag", UNKNOWN):
                yield (
                    f"rules[{index}].type",
                    (f'expected type to be one of ["ip_addr" "droplet" "k8s" "tag" "app"], got {kind}'),
                )
            elif rule != UNKNOWN and rule["value"] == "":
                yield f"rules[{index}].value", "expected a non-zero value"

    def rent(self, account: Account, inputs: Properties, call: Call) -> str:
        self._trust(account, inputs["clusterId"], inputs["rules"])
        return f"{inputs['clusterId']}-{secrets.token_hex(13)}"

    def look(self, account: Account, identity: str, state: Properties) -> Properties | None:
        thing = service.found(account, state["clusterId"], service.CLUSTER)
        if thing is None:
            return None
        told = [{"type": rule["type"], "value": rule["value"], "uuid": rule["uuid"]} for rule in thing["rules"]]
        order = [(rule["type"], rule["value"]) for rule in state.get("rules", [])]
        place = {key: index for index, key in enumerate(order)}
        return {"rules": sorted(told, key=lambda rule: place.get((rule["type"], rule["value"]), len(place)))}

    def change(self, account: Account, identity: str, state: Properties, inputs: Properties) -> None:
        self._trust(account, inputs["clusterId"], inputs["rules"])

    def give_back(self, account: Account, identity: str, state: Properties) -> None:
        self._trust(account, state["clusterId"], [])

    @staticmethod
    def _trust(account: Account, cluster: str, wishes: list[Properties]) -> None:
        if len(wishes) > TRUSTED:
            raise rules.refuse(f"a cluster has at most {TRUSTED} trusted sources")
        droplets, tags = account.things(service.DROPLET), service.tags_of_the_account(account)
        for rule in wishes:
            if rule["type"] == "ip_addr":
                rules.trusted_address(rule["value"])
            elif rule["type"] == "droplet" and rule["value"] not in droplets:
                raise rules.refuse(f"invalid droplet: {rule['value']} does not exist")
            elif rule["type"] == "tag" and rule["value"] not in tags:
                raise rules.refuse(f"invalid tag: {rule['value']!r} does not exist")
        with service.changing(account, cluster, service.CLUSTER, "cluster") as thing:
            thing["rules"] = [{**rule, "uuid": rule.get("uuid") or str(uuid.uuid4())} for rule in wishes]
        traffic.settle(account)


def _password() -> str:
    characters = string.ascii_letters + string.digits + "_-"
    return "AVNS_" + "".join(secrets.choice(characters) for _ in range(19))


def _connections(engine: str, plan: str) -> int:
    """PostgreSQL keeps three back from everybody but its superuser by itself, so that 22 of 25 are usable."""
    return catalog.ENGINES[engine].connections * catalog.PLANS[plan].memory


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _uri(thing: Thing, password: str, host: str, port: int) -> str:
    engine = catalog.ENGINES[thing["engine"]]
    return f"{engine.scheme}://{ADMINISTRATOR}:{password}@{host}:{port}/{FIRST_DATABASE}?{engine.tls}"


def _check_project(account: Account, project: str | None) -> None:
    if project and project != service.default_project(account):
        service.needed(account, project, service.PROJECT, "project")
