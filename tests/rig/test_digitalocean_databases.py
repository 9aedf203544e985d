"""The stand-in's database clusters against their sources.

Sources: digitalocean/terraform-provider-digitalocean ("TF", by file), digitalocean/openapi ("openapi", by file),
docs.digitalocean.com ("docs"), and what users report of the API's messages (by repository and number).
"""

from __future__ import annotations

from typing import Any

import pytest

from .clouds import digitalocean
from .clouds.digitalocean import service
from .direct import CallFailedError
from .ocean import OceanOf, droplet, with_token
from .paper_cloud import PaperCloud

CLUSTER = {
    "name": "data",
    "engine": "pg",
    "version": "16",
    "size": "db-s-1vcpu-1gb",
    "region": "nyc3",
    "nodeCount": 1,
}


@pytest.fixture
def ocean() -> OceanOf:
    """The types of one plug-in with a token."""
    return with_token()


def cluster(ocean: OceanOf, **more: Any) -> tuple[str, dict[str, Any]]:
    return ocean(service.CLUSTER).create(**{**CLUSTER, **more})


def admitted(paper: PaperCloud) -> list[str]:
    """Whom the only server lets in."""
    (sources,) = paper.admitted.values()
    return sources


def test_a_cluster_is_a_server_with_tls_for_everybody(paper: PaperCloud, ocean: OceanOf) -> None:
    """docs, "How to Secure": "By default, database clusters are accessible from any source"; TLS is required."""
    identity, outputs = cluster(ocean)
    (server,) = paper.databases.values()
    assert (server.engine, server.force_tls, admitted(paper)) == ("postgresql", True, ["0.0.0.0/0"])
    assert (outputs["host"], outputs["privateHost"]) == (server.public_address, server.address)
    assert (outputs["user"], outputs["database"], outputs["port"]) == ("doadmin", "defaultdb", 25060)
    assert paper.passwords == {(server.name, "doadmin"): outputs["password"]}
    there = f"doadmin:{outputs['password']}@{server.public_address}:25060/defaultdb"
    assert outputs["uri"] == f"postgresql://{there}?sslmode=require"  # openapi responses/database_cluster.yml
    assert outputs["clusterUrn"] == f"do:dbaas:{identity}"
    assert outputs["password"] not in paper.account.document.read_text()


def test_a_mysql_cluster_has_the_uri_of_that(paper: PaperCloud, ocean: OceanOf) -> None:
    """docs, "How to Connect to MySQL Database Clusters": `ssl-mode=REQUIRED`."""
    _, outputs = cluster(ocean, engine="mysql", version="8")
    assert outputs["privateUri"].startswith("mysql://doadmin:AVNS_")
    assert outputs["privateUri"].endswith(":25060/defaultdb?ssl-mode=REQUIRED")


@pytest.mark.parametrize(
    ("engine", "version", "size", "limit"),
    [("pg", "16", "db-s-1vcpu-1gb", 25), ("pg", "17", "db-s-2vcpu-4gb", 100), ("mysql", "8", "db-s-1vcpu-1gb", 75)],
)
def test_connections_are_limited_by_memory(
    paper: PaperCloud, ocean: OceanOf, engine: str, version: str, size: str, limit: int
) -> None:
    """docs, PostgreSQL Limits: 25 for each GB, of which three are kept back by the server: 22; MySQL Limits: 75."""
    cluster(ocean, engine=engine, version=version, size=size)
    assert [server.max_connections for server in paper.databases.values()] == [limit]


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"name": "my_data"}, "422 invalid cluster name"),  # digitalocean/api-v2 #194
        ({"name": "1data"}, "422 invalid cluster name"),  # the control panel: "must ... start with a letter"
        ({"engine": "postgres"}, "422 invalid cluster engine"),
        ({"version": "9.6"}, "422 invalid cluster engine version"),  # TF #1014
        ({"size": "db-s-9vcpu-1gb"}, "422 invalid size"),
        ({"region": "mars1"}, "422 invalid region"),
        ({"nodeCount": 2}, "422 invalid number of nodes"),  # openapi responses/options.yml: 1 GB has one node
        ({"privateNetworkUuid": "5a4981aa-9653-4bd1-bef5-d6bff52042e4"}, "422 Failed to resolve VPC"),
        ({"projectId": "none"}, "404 The project"),
    ],
)
def test_the_api_refuses_what_it_does_not_have(
    paper: PaperCloud, ocean: OceanOf, wishes: dict[str, Any], message: str
) -> None:
    """The sources stand with the cases; none of these is seen in a preview (facts, pulumi.md 10)."""
    ocean(service.CLUSTER).create(preview=True, **{**CLUSTER, **wishes})
    with pytest.raises(CallFailedError, match=f"Error creating database cluster: POST .*/v2/databases: {message}"):
        cluster(ocean, **wishes)
    assert paper.empty


def test_two_clusters_cannot_have_one_name(paper: PaperCloud, ocean: OceanOf) -> None:
    """The API's "cluster name is not available"; openapi database_cluster.yml: "A unique, human-readable name"."""
    cluster(ocean)
    with pytest.raises(CallFailedError, match="422 cluster name is not available"):
        cluster(ocean)


def test_the_plug_in_refuses_in_a_preview(ocean: OceanOf) -> None:
    """TF resource_database_cluster.go: `transitionVersionToRequired`, `NoZeroValues`; engines that the rig has not."""
    it = ocean(service.CLUSTER)
    without_version = {name: value for name, value in CLUSTER.items() if name != "version"}
    assert '"version" is required' in it.check(**without_version)[1]["version"]
    assert sorted(it.check(**{**CLUSTER, "size": "", "nodeCount": 0})[1]) == ["nodeCount", "size"]
    assert "the rig has no valkey" in it.check(**{**CLUSTER, "engine": "valkey"})[1]["engine"]
    assert "no effect" in it.check(**CLUSTER, sqlMode="ANSI")[1]["sqlMode"]


@pytest.mark.parametrize(
    ("change", "replaces"),
    [({"name": "other"}, True), ({"engine": "mysql"}, True), ({"size": "db-s-1vcpu-2gb"}, False),
     ({"version": "17"}, False), ({"nodeCount": 2}, False)],
)  # fmt: skip
def test_what_replaces_a_cluster(paper: PaperCloud, ocean: OceanOf, change: dict[str, Any], replaces: bool) -> None:
    """TF resource_database_cluster.go: what is ForceNew."""
    it = ocean(service.CLUSTER)
    _, state = it.create(**CLUSTER)
    (kind,) = {kind.endswith("_REPLACE") for kind in it.diff(state, **{**CLUSTER, **change}).values()}
    assert kind is replaces


def test_a_cluster_grows_in_place_and_does_not_shrink(paper: PaperCloud, ocean: OceanOf) -> None:
    """docs, "How to Resize": nodes cannot become smaller; the connections grow with the memory."""
    it = ocean(service.CLUSTER)
    identity, state = it.create(**CLUSTER)
    grown = it.update(state, id=identity, **{**CLUSTER, "size": "db-s-1vcpu-2gb", "nodeCount": 2, "version": "17"})
    assert (grown["size"], grown["password"], grown["host"]) == ("db-s-1vcpu-2gb", state["password"], state["host"])
    assert [server.max_connections for server in paper.databases.values()] == [50]
    for back, message in (({"size": "db-s-1vcpu-1gb"}, "422 invalid size"), ({"version": "16"}, "422 invalid cluster")):
        with pytest.raises(CallFailedError, match=message):
            it.update(grown, id=identity, **{**CLUSTER, "size": "db-s-1vcpu-2gb", "version": "17", **back})
    with pytest.raises(CallFailedError, match="does not migrate"):
        it.update(grown, id=identity, **{**CLUSTER, "size": "db-s-1vcpu-2gb", "version": "17", "region": "ams3"})


def test_trusted_sources_shut_out_everybody_else(paper: PaperCloud, ocean: OceanOf) -> None:
    """openapi databases_update_firewall_rules.yml: rules for addresses, droplets and tags; without any: everybody."""
    _, one = droplet(ocean, tags=["app"])
    lone, other = droplet(ocean, name="lone")
    data, _ = cluster(ocean)
    it = ocean(service.DATABASE_FIREWALL)
    trust = [
        {"type": "ip_addr", "value": "198.51.100.7"},
        {"type": "droplet", "value": lone},
        {"type": "tag", "value": "app"},
    ]
    identity, state = it.create(clusterId=data, rules=trust)
    assert identity.startswith(f"{data}-")
    assert admitted(paper) == ["198.51.100.7", one["ipv4AddressPrivate"], other["ipv4AddressPrivate"]]
    assert [rule["type"] for rule in state["rules"]] == ["ip_addr", "droplet", "tag"]
    assert it.read(identity, state) == state
    assert it.diff(state, clusterId=data, rules=trust[::-1]) == {}
    state = it.update(state, id=identity, clusterId=data, rules=trust[:1])
    assert admitted(paper) == ["198.51.100.7"]
    it.delete(state, identity)
    assert admitted(paper) == ["0.0.0.0/0"]


def test_who_is_trusted_follows_the_droplets(paper: PaperCloud, ocean: OceanOf) -> None:
    """openapi, as above: "any Droplet ... with that tag applied to it will have access"; one that is gone has not."""
    app, one = droplet(ocean, tags=["app"])
    data, _ = cluster(ocean)
    ocean(service.DATABASE_FIREWALL).create(clusterId=data, rules=[{"type": "tag", "value": "app"}])
    _, two = droplet(ocean, name="second", tags=["app"])
    assert admitted(paper) == [one["ipv4AddressPrivate"], two["ipv4AddressPrivate"]]
    ocean(service.DROPLET).delete(one, app)
    assert admitted(paper) == [two["ipv4AddressPrivate"]]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"type": "ip_addr", "value": "2001:db8::1"}, "422 invalid ip_addr"),  # "You cannot add IPv6 addresses"
        ({"type": "ip_addr", "value": "10.0.0"}, "422 invalid ip_addr"),
        ({"type": "droplet", "value": "1"}, "422 invalid droplet"),
        ({"type": "tag", "value": "nobody"}, "422 invalid tag"),
    ],
)
def test_the_api_refuses_bad_sources(paper: PaperCloud, ocean: OceanOf, rule: dict[str, str], message: str) -> None:
    """openapi databases_update_firewall_rules.yml."""
    data, _ = cluster(ocean)
    with pytest.raises(CallFailedError, match=f"Error creating DatabaseFirewall: .*{message}"):
        ocean(service.DATABASE_FIREWALL).create(clusterId=data, rules=[rule])
    assert admitted(paper) == ["0.0.0.0/0"]


def test_there_are_at_most_a_hundred_sources(paper: PaperCloud, ocean: OceanOf) -> None:
    """openapi databases_update_firewall_rules.yml: "The firewall is limited to 100 rules"."""
    data, _ = cluster(ocean)
    many = [{"type": "ip_addr", "value": f"198.51.100.{number}"} for number in range(101)]
    with pytest.raises(CallFailedError, match="422 a cluster has at most 100 trusted sources"):
        ocean(service.DATABASE_FIREWALL).create(clusterId=data, rules=many)


def test_the_plug_in_refuses_bad_sources_in_a_preview(ocean: OceanOf) -> None:
    """TF resource_database_firewall.go: `StringInSlice`, `NoZeroValues`; kinds that the rig has not."""
    it = ocean(service.DATABASE_FIREWALL)
    wrong = [{"type": "ip", "value": "x"}, {"type": "droplet", "value": ""}, {"type": "k8s", "value": "x"}]
    _, failures = it.check(clusterId="x", rules=wrong)
    assert sorted(failures) == ["rules[0].type", "rules[1].value", "rules[2].type"]


def test_a_user_has_a_password_of_the_service_and_few_rights(paper: PaperCloud, ocean: OceanOf) -> None:
    """docs, "How to Manage PostgreSQL Users": "New users receive minimal permissions by default"."""
    data, _ = cluster(ocean)
    it = ocean(service.DATABASE_USER)
    identity, user = it.create(clusterId=data, name="app")
    (server,) = paper.databases
    assert (identity, user["role"]) == (f"{data}/user/app", "normal")
    assert paper.passwords[server, "app"] == user["password"]
    assert paper.grants[server, "app"] == []
    assert it.read(identity, user) == user
    it.delete(user, identity)
    assert (server, "app") not in paper.passwords
    assert it.read(identity, user) is None


def test_a_user_of_mysql_may_do_everything(paper: PaperCloud, ocean: OceanOf) -> None:
    """SDK, `mysql_auth_plugin`: "caching_sha2_password (this is the default)"; its rights: on all databases."""
    data, _ = cluster(ocean, engine="mysql", version="8")
    _, user = ocean(service.DATABASE_USER).create(clusterId=data, name="app")
    assert list(paper.grants.values()) == [["*"]]
    assert user["mysqlAuthPlugin"] == "caching_sha2_password"
    wrong = ocean(service.DATABASE_USER).check(clusterId=data, name="app", mysqlAuthPlugin="plain")[1]
    assert "caching_sha2_password" in wrong["mysqlAuthPlugin"]


def test_a_database_comes_and_goes(paper: PaperCloud, ocean: OceanOf) -> None:
    """TF resource_database_db.go: the id; everything is ForceNew."""
    data, _ = cluster(ocean)
    it = ocean(service.DATABASE)
    identity, state = it.create(clusterId=data, name="shop")
    assert identity == f"{data}/database/shop"
    assert list(paper.schemas.values()) == [["defaultdb", "shop"]]
    assert it.diff(state, clusterId=data, name="other") == {"name": "UPDATE_REPLACE"}
    it.delete(state, identity)
    assert list(paper.schemas.values()) == [["defaultdb"]]


@pytest.mark.parametrize("token", [service.DATABASE, service.DATABASE_USER])
def test_names_within_a_cluster_are_taken_once(paper: PaperCloud, ocean: OceanOf, token: str) -> None:
    """The API's 422; docs: the defaults `defaultdb` and `doadmin` are there, "you can't delete them"."""
    data, _ = cluster(ocean)
    it = ocean(token)
    it.create(clusterId=data, name="shop")
    there = "defaultdb" if token == service.DATABASE else "doadmin"
    for name in ("shop", there):
        with pytest.raises(CallFailedError, match="422 .* name is not available"):
            it.create(clusterId=data, name=name)
    with pytest.raises(CallFailedError, match="422 invalid .* name"):
        it.create(clusterId=data, name="a b")
    with pytest.raises(CallFailedError, match="cannot be deleted"):
        it.delete({"clusterId": data, "name": there}, "x")
    with pytest.raises(CallFailedError, match="404 The cluster"):
        it.create(clusterId="none", name="shop")


def test_the_ca_of_a_cluster_is_pem(paper: PaperCloud, ocean: OceanOf) -> None:
    """TF datasource_database_ca.go: the certificate, decoded."""
    data, _ = cluster(ocean)
    get = "digitalocean:index/getDatabaseCa:getDatabaseCa"
    ca = ocean(service.CLUSTER).invoke(get, clusterId=data)
    assert ca["certificate"].startswith("-----BEGIN CERTIFICATE-----")
    with pytest.raises(CallFailedError, match="404"):
        ocean(service.CLUSTER).invoke(get, clusterId="none")


def test_a_cluster_takes_everything_of_it_along(paper: PaperCloud, ocean: OceanOf) -> None:
    """The API's DELETE of a cluster; a refresh sees one that is gone, and all that was in it."""
    it = ocean(service.CLUSTER)
    data, state = it.create(**CLUSTER)
    user_id, user = ocean(service.DATABASE_USER).create(clusterId=data, name="app")
    trust_id, trust = ocean(service.DATABASE_FIREWALL).create(
        clusterId=data, rules=[{"type": "ip_addr", "value": "198.51.100.7"}]
    )
    assert it.read(data, state) == state
    it.delete(state, data)
    assert paper.empty
    assert it.read(data, state) is None
    assert ocean(service.DATABASE_USER).read(user_id, user) is None
    assert ocean(service.DATABASE_FIREWALL).read(trust_id, trust) is None


def test_settling_again_changes_nothing(paper: PaperCloud, ocean: OceanOf) -> None:
    """The rig's own rule: what is in force derives from what is kept."""
    app, _ = droplet(ocean)
    data, _ = cluster(ocean)
    ocean(service.DATABASE_FIREWALL).create(clusterId=data, rules=[{"type": "droplet", "value": app}])
    before = (dict(paper.admitted), dict(paper.filters))
    digitalocean.settle(paper.account)
    assert (paper.admitted, paper.filters) == before
