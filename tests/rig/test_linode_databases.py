"""The stand-in's managed databases against their sources.

Sources: linode/terraform-provider-linode ("TF", by file), techdocs.akamai.com/linode-api ("API"), linode/manager.
"""

from __future__ import annotations

from typing import Any

import pytest

from .clouds.linode import service
from .direct import CallFailedError
from .linodes import LinodeOf, with_token
from .paper_cloud import PaperCloud

DATABASE = {"label": "data", "engineId": "postgresql/16", "region": "us-east", "type": "g6-nanode-1"}


@pytest.fixture
def linodes() -> LinodeOf:
    """The types of one plug-in with a token."""
    return with_token()


def admitted(paper: PaperCloud) -> list[str]:
    (sources,) = paper.admitted.values()
    return sources


def test_a_database_admits_nobody_until_its_list_names_them(paper: PaperCloud, linodes: LinodeOf) -> None:
    """SDK: "Creating a simple PostgreSQL database that does not allow connections" has no `allow_lists`."""
    it = linodes(service.POSTGRESQL)
    identity, outputs = it.create(**DATABASE)
    (server,) = paper.databases.values()
    assert (server.engine, server.force_tls, admitted(paper)) == ("postgresql", True, [])
    assert (outputs["hostPrimary"], outputs["port"]) == (server.public_address, server.port)
    assert outputs["port"] not in (5432, 3306)  # each database has a port of its own
    assert (outputs["rootUsername"], outputs["sslConnection"]) == ("akmadmin", True)  # linode/manager
    assert outputs["caCert"].startswith("-----BEGIN CERTIFICATE-----")  # TF framework_models.go: decoded
    assert paper.passwords == {(server.name, "akmadmin"): outputs["rootPassword"]}
    assert paper.schemas == {server.name: ["defaultdb"]}
    assert outputs["rootPassword"] not in paper.account.document.read_text()
    it.update(outputs, id=identity, **DATABASE, allowLists=["198.51.100.0/24", "2001:db8::/32"])
    assert admitted(paper) == ["198.51.100.0/24"]


def test_a_mysql_database_is_one(paper: PaperCloud, linodes: LinodeOf) -> None:
    """SDK, DatabaseMysqlV2."""
    linodes(service.MYSQL).create(**{**DATABASE, "engineId": "mysql/8"}, allowLists=["198.51.100.7"])
    assert ([server.engine for server in paper.databases.values()], admitted(paper)) == (["mysql"], ["198.51.100.7"])


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"label": "1data"}, r"\[label\] Must begin with a letter"),
        ({"label": "ab"}, r"\[label\] Length must be 3-32"),  # linode/manager, databases.schema.ts
        ({"engineId": "postgresql/9"}, r"\[engine\] Engine postgresql/9 is not valid"),
        ({"engineId": "mysql/8"}, r"\[engine\] Engine mysql/8 is not valid"),
        ({"engineId": "postgresql"}, r"\[engine\] Engine postgresql is not valid"),
        ({"region": "mars"}, r"\[region\] region is not valid"),
        ({"region": "us-den-edge-1"}, r"\[region\] Managed Databases are not available"),
        ({"type": "g9-nanode-1"}, r"\[type\] A valid plan type"),
        ({"clusterSize": 4}, r"\[cluster_size\] 4 nodes are not available"),
        ({"clusterSize": 2}, r"\[cluster_size\] 2 nodes are not available"),  # API: dedicated plans only
        ({"allowLists": ["10.0.0"]}, r"\[allow_list\] Must contain only valid IPv4 or IPv6"),
    ],
)
def test_the_api_refuses_what_it_does_not_have(
    paper: PaperCloud, linodes: LinodeOf, wishes: dict[str, Any], message: str
) -> None:
    """API, "Create a PostgreSQL Managed Database"; none of these is seen in a preview."""
    linodes(service.POSTGRESQL).create(preview=True, **{**DATABASE, **wishes})
    with pytest.raises(CallFailedError, match=rf"Failed to create PostgreSQL database: \[400\] {message}"):
        linodes(service.POSTGRESQL).create(**{**DATABASE, **wishes})
    assert paper.empty


def test_labels_are_unique(paper: PaperCloud, linodes: LinodeOf) -> None:
    """SDK, `label`: "A unique, user-defined string"."""
    linodes(service.POSTGRESQL).create(**DATABASE)
    with pytest.raises(CallFailedError, match=r"\[label\] Label must be unique"):
        linodes(service.POSTGRESQL).create(**DATABASE)


def test_the_plug_in_refuses_in_a_preview(linodes: LinodeOf) -> None:
    """TF framework_resource_schema.go: `AtLeast(1)`; what the rig has not."""
    it = linodes(service.POSTGRESQL)
    assert sorted(it.check(**DATABASE, clusterSize=0, suspended=True)[1]) == ["clusterSize", "suspended"]
    assert "no effect" in it.check(**DATABASE, engineConfigWorkMem=64)[1]["engineConfigWorkMem"]


def test_a_database_grows_in_place_and_does_not_shrink(paper: PaperCloud, linodes: LinodeOf) -> None:
    """TF framework_resource.go, `Update`; docs: a cluster is resized to a larger plan."""
    it = linodes(service.POSTGRESQL)
    identity, state = it.create(**DATABASE)
    assert it.diff(state, **{**DATABASE, "region": "eu-west"}) == {"region": "UPDATE_REPLACE"}
    wishes = {**DATABASE, "type": "g6-standard-1", "engineId": "postgresql/17", "label": "store", "clusterSize": 3}
    grown = it.update(state, id=identity, **wishes)
    assert (grown["type"], grown["version"], grown["label"], grown["clusterSize"]) == (
        "g6-standard-1",
        "17",
        "store",
        3,
    )
    assert (grown["rootPassword"], grown["hostPrimary"]) == (state["rootPassword"], state["hostPrimary"])
    for back, message in (({"type": "g6-nanode-1"}, "larger plan"), ({"engineId": "postgresql/16"}, "older version")):
        with pytest.raises(CallFailedError, match=message):
            it.update(grown, id=identity, **{**wishes, **back})


def test_access_controls_manage_the_list_apart_from_the_database(paper: PaperCloud, linodes: LinodeOf) -> None:
    """TF databaseaccesscontrols/framework_resource.go: it sets the list, and empties it when it goes."""
    database, _ = linodes(service.POSTGRESQL).create(**DATABASE)
    it = linodes(service.ACCESS_CONTROLS)
    wishes = {"databaseId": int(database), "databaseType": "postgresql"}
    identity, state = it.create(**wishes, allowLists=["198.51.100.7", "203.0.113.9"])
    assert (identity, admitted(paper)) == (f"{database}:postgresql", ["198.51.100.7", "203.0.113.9"])
    assert it.diff(state, **wishes, allowLists=["203.0.113.9", "198.51.100.7"]) == {}
    assert it.read(identity, state) == state
    state = it.update(state, id=identity, **wishes, allowLists=["203.0.113.9"])
    assert admitted(paper) == ["203.0.113.9"]
    it.delete(state, identity)
    assert admitted(paper) == []
    assert "databaseType" in it.check(databaseId=1, databaseType="mongodb", allowLists=[])[1]
    with pytest.raises(CallFailedError, match=r"Failed to set DB allow list: \[404\]"):
        it.create(databaseId=1, databaseType="mysql", allowLists=[])


def test_a_refresh_sees_changes_and_deletion(paper: PaperCloud, linodes: LinodeOf) -> None:
    """TF framework_resource.go, `Read`: a 404 removes it from the state."""
    it = linodes(service.POSTGRESQL)
    identity, state = it.create(**DATABASE, allowLists=["198.51.100.7"])
    assert it.read(identity, state) == state
    thing = paper.account.thing(identity)
    assert thing is not None
    paper.account.put(identity, {**thing, "allowed": ["0.0.0.0/0"]})
    seen = it.read(identity, state)
    assert seen is not None
    assert seen["allowLists"] == ["0.0.0.0/0"]
    it.delete(state, identity)
    assert paper.empty
    assert it.read(identity, state) is None
