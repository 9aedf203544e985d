"""The stand-in's firewalls, reserved IPs, VPCs and projects against their sources.

Sources: digitalocean/terraform-provider-digitalocean ("TF", by file), digitalocean/openapi ("openapi", by file),
docs.digitalocean.com ("docs"), and what users report of the API's messages (by repository and number).
"""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from .clouds import digitalocean
from .clouds.digitalocean import rules, service
from .clouds.network import Opening
from .clouds.rented import ServiceError
from .direct import CallFailedError
from .ocean import OceanOf, droplet, with_token
from .paper_cloud import PaperCloud

ANYBODY = ["0.0.0.0/0", "::/0"]
SSH = {"protocol": "tcp", "portRange": "22", "sourceAddresses": ANYBODY}
OUT = {"protocol": "tcp", "portRange": "1-65535", "destinationAddresses": ANYBODY}


@pytest.fixture
def ocean() -> OceanOf:
    """The types of one plug-in with a token."""
    return with_token()


def filters_of(paper: PaperCloud, identity: str) -> tuple[Any, Any]:
    """What is in force in front of a droplet: incoming and outgoing."""
    thing = paper.account.thing(identity)
    assert thing is not None
    return paper.filters[thing["machine"]]


# -- firewalls ---------------------------------------------------------------------------------------------------------


def test_a_droplet_is_open_until_a_firewall_names_it(paper: PaperCloud, ocean: OceanOf) -> None:
    """docs, Cloud Firewalls: they "block all traffic that isn't expressly permitted by a rule"."""
    named, _ = droplet(ocean)
    other, _ = droplet(ocean)
    it = ocean(service.FIREWALL)
    identity, state = it.create(name="web", dropletIds=[int(named)], inboundRules=[SSH], outboundRules=[OUT])
    assert filters_of(paper, named) == (
        [Opening("tcp", 22, 22, ["0.0.0.0/0"])],
        [Opening("tcp", 1, 65535, ["0.0.0.0/0"])],
    )
    assert filters_of(paper, other) == (None, None)
    it.delete(state, identity)
    assert filters_of(paper, named) == (None, None)


def test_a_firewall_without_outbound_rules_lets_nothing_out(paper: PaperCloud, ocean: OceanOf) -> None:
    """docs, Cloud Firewalls: outbound traffic is blocked too, unless a rule permits it."""
    identity, _ = droplet(ocean)
    ocean(service.FIREWALL).create(name="web", dropletIds=[int(identity)], inboundRules=[SSH])
    assert filters_of(paper, identity)[1] == []


def test_several_firewalls_of_a_droplet_add_up(paper: PaperCloud, ocean: OceanOf) -> None:
    """docs, Cloud Firewalls: "rules are additive"."""
    identity, _ = droplet(ocean)
    for name, port in (("one", "22"), ("two", "443")):
        rule = {**SSH, "portRange": port}
        ocean(service.FIREWALL).create(name=name, dropletIds=[int(identity)], inboundRules=[rule])
    assert [opening.first_port for opening in filters_of(paper, identity)[0]] == [22, 443]


def test_droplets_and_tags_stand_for_the_machines_that_there_are(paper: PaperCloud, ocean: OceanOf) -> None:
    """openapi firewall_rule.yml: `droplet_ids` and `tags` of sources; a later droplet with the tag counts too."""
    front, seen = droplet(ocean, tags=["front"])
    back, _ = droplet(ocean, name="back", tags=["back"])
    rule = {"protocol": "tcp", "portRange": "8000-9000", "sourceTags": ["front"], "sourceDropletIds": [int(back)]}
    ocean(service.FIREWALL).create(name="back", tags=["back"], inboundRules=[rule])
    _, later = droplet(ocean, name="front2", tags=["front"])
    (opening,) = filters_of(paper, back)[0]
    assert (opening.first_port, opening.last_port) == (8000, 9000)
    own = paper.account.things()[back]["private_address"]
    assert set(opening.sources) == {seen["ipv4AddressPrivate"], later["ipv4AddressPrivate"], own}
    ocean(service.DROPLET).delete(seen, front)
    assert seen["ipv4AddressPrivate"] not in filters_of(paper, back)[0][0].sources


def test_what_a_firewall_was_told_is_what_it_tells(paper: PaperCloud, ocean: OceanOf) -> None:
    """TF firewalls.go, `flattenFirewallInboundRules`: "all" for all ports, none for ICMP; lists are sets."""
    identity, _ = droplet(ocean)
    rules_in = [SSH, {"protocol": "icmp", "sourceAddresses": ANYBODY}, {**SSH, "protocol": "udp", "portRange": "all"}]
    it = ocean(service.FIREWALL)
    wishes = {"name": "web", "dropletIds": [int(identity)], "inboundRules": rules_in, "outboundRules": [OUT]}
    fw, state = it.create(**wishes)
    assert (state["inboundRules"], state["status"]) == (rules_in, "succeeded")
    assert it.read(fw, state) == state
    assert it.diff(state, **{**wishes, "inboundRules": rules_in[::-1]}) == {}
    changed = it.update(state, id=fw, **{**wishes, "inboundRules": rules_in[:1]})
    assert (changed["inboundRules"], len(filters_of(paper, identity)[0])) == (rules_in[:1], 1)


def test_a_refresh_sees_a_changed_and_a_deleted_firewall(paper: PaperCloud, ocean: OceanOf) -> None:
    """TF resource_firewall.go: rules are read; a 404 removes it from the state."""
    identity, _ = droplet(ocean)
    it = ocean(service.FIREWALL)
    fw, state = it.create(name="web", dropletIds=[int(identity)], inboundRules=[SSH])
    thing = paper.account.thing(fw)
    assert thing is not None
    paper.account.put(fw, {**thing, "inbound": [{**thing["inbound"][0], "ports": "23"}]})
    seen = it.read(fw, state)
    assert seen is not None
    assert seen["inboundRules"][0]["portRange"] == "23"
    paper.account.drop(fw)
    assert it.read(fw, state) is None
    digitalocean.settle(paper.account)
    assert filters_of(paper, identity) == (None, None)


@pytest.mark.parametrize(
    ("rule", "field", "message"),
    [
        ({"protocol": "all", "portRange": "22"}, "inboundRules[0].protocol", 'one of ["tcp" "udp" "icmp"]'),
        ({"protocol": "tcp"}, "inboundRules[0].portRange", "required if protocol is `tcp` or `udp`"),
        ({**SSH, "action": "deny"}, "inboundRules[0].action", "not supported by this stand-in"),
        ({**SSH, "sourceKubernetesIds": ["x"]}, "inboundRules[0].sourceKubernetesIds", "the rig has none"),
    ],
)
def test_the_plug_in_refuses_bad_rules_in_a_preview(
    ocean: OceanOf, rule: dict[str, Any], field: str, message: str
) -> None:
    """TF firewalls.go (`StringInSlice`) and resource_firewall.go (`CustomizeDiff`); the others: the rig's limits."""
    assert message in ocean(service.FIREWALL).check(name="web", inboundRules=[rule])[1][field]


def test_a_firewall_needs_a_rule(ocean: OceanOf) -> None:
    """TF resource_firewall.go: "At least one rule must be specified"."""
    assert "At least one rule" in ocean(service.FIREWALL).check(name="web")[1]["inboundRules"]


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"name": "-web"}, "422 name must begin with an alphanumeric"),  # openapi firewall.yml: pattern
        ({"inboundRules": [{**SSH, "portRange": "99999"}]}, "422 invalid ports"),
        ({"inboundRules": [{**SSH, "portRange": "90-80"}]}, "422 invalid ports"),
        ({"inboundRules": [{**SSH, "portRange": "22,80"}]}, "422 invalid ports"),  # openapi firewall_rule.yml: `ports`
        ({"inboundRules": [{**SSH, "sourceAddresses": ["10.0.0.0/33"]}]}, "422 invalid address"),  # TF issue #33
        ({"inboundRules": [{"protocol": "tcp", "portRange": "22"}]}, "422 a rule must specify at least one"),
        ({"dropletIds": [1]}, "422 droplet 1 does not exist"),
        ({"tags": ["nobody"]}, "422 tag 'nobody' does not exist"),  # openapi `existing_tags_array`; typhoon #709
        ({"inboundRules": [SSH] * 51}, "422 a firewall has at most 10 droplets, 5 tags and 50 rules"),  # docs, limits
    ],
)
def test_the_api_refuses_bad_firewalls_when_asked(
    paper: PaperCloud, ocean: OceanOf, wishes: dict[str, Any], message: str
) -> None:
    """The sources stand with the cases; facts, pulumi.md 10: "port 99999 or a bad CIDR" pass a preview."""
    good = {"name": "web", "inboundRules": [SSH]}
    ocean(service.FIREWALL).create(preview=True, **{**good, **wishes})
    with pytest.raises(CallFailedError, match=f"Error creating firewall: POST .*/v2/firewalls: {message}"):
        ocean(service.FIREWALL).create(**{**good, **wishes})
    assert paper.empty


def test_two_firewalls_cannot_have_one_name(paper: PaperCloud, ocean: OceanOf) -> None:
    """harmony-one/harmony-ops #390: "409 ... duplicate name"."""
    ocean(service.FIREWALL).create(name="web", inboundRules=[SSH])
    with pytest.raises(CallFailedError, match="409 duplicate name"):
        ocean(service.FIREWALL).create(name="web", inboundRules=[SSH])


@pytest.mark.parametrize(
    ("text", "range_"),
    [("22", (22, 22)), ("8000-9000", (8000, 9000)), ("1-65535", (1, 65535)), ("all", (0, 65535)), ("0", (0, 65535))],
)
def test_ports_in_all_their_notations(text: str, range_: tuple[int, int]) -> None:
    """openapi firewall_rule.yml, `ports`; TF firewalls.go for "all"."""
    assert rules.ports("tcp", text) == range_


# -- reserved IPs ------------------------------------------------------------------------------------------------------


def test_a_reserved_ip_moves_between_droplets_which_keep_their_own(paper: PaperCloud, ocean: OceanOf) -> None:
    """docs, Reserved IPs: "instantly remap to other Droplets in the same datacenter"."""
    first, one = droplet(ocean)
    second, two = droplet(ocean, name="web2")
    address, reserved = ocean(service.RESERVED_IP).create(region="nyc3")
    assert (address, paper.addresses[address]) == (reserved["ipAddress"], "")
    it = ocean(service.RESERVED_IP_ASSIGNMENT)
    old, state = it.create(ipAddress=address, dropletId=int(first))
    machine_of = {identity: thing["machine"] for identity, thing in paper.account.things(service.DROPLET).items()}
    assert paper.addresses[address] == machine_of[first]
    assert it.diff(state, ipAddress=address, dropletId=int(second)) == {"dropletId": "UPDATE_REPLACE"}
    _, moved = it.create(ipAddress=address, dropletId=int(second))  # a replacement makes the new one first
    it.delete(state, old)
    assert paper.addresses[address] == machine_of[second]
    assert paper.addresses[one["ipv4Address"]] == machine_of[first]
    assert paper.addresses[two["ipv4Address"]] == machine_of[second]
    assert it.read(old, state) is None
    assert it.read("any", moved) == moved


def test_a_reserved_ip_stays_when_its_droplet_goes(paper: PaperCloud, ocean: OceanOf) -> None:
    """docs, "How to Delete Reserved IPs": destroying a droplet does not delete the reserved IP."""
    identity, state = droplet(ocean)
    it = ocean(service.RESERVED_IP)
    address, reserved = it.create(region="nyc3", dropletId=int(identity))
    assert reserved["dropletId"] == int(identity)
    ocean(service.DROPLET).delete(state, identity)
    assert paper.addresses == {address: ""}
    seen = it.read(address, reserved)
    assert seen is not None
    it.delete(seen, address)
    assert paper.empty


def test_a_reserved_ip_can_be_given_and_taken_by_its_own_argument(paper: PaperCloud, ocean: OceanOf) -> None:
    """TF resource_reserved_ip.go: `droplet_id` is changed in place."""
    identity, _ = droplet(ocean)
    it = ocean(service.RESERVED_IP)
    address, state = it.create(region="nyc3")
    state = it.update(state, id=address, region="nyc3", dropletId=int(identity))
    assert paper.addresses[address]
    it.update(state, id=address, region="nyc3")
    assert paper.addresses[address] == ""


@pytest.mark.parametrize(
    ("region", "message"),
    [("ams3", "422 the droplet is in nyc3, the reserved IP in ams3"), ("nyc3", "404 The droplet")],
)
def test_a_reserved_ip_is_for_a_droplet_of_its_region(
    paper: PaperCloud, ocean: OceanOf, region: str, message: str
) -> None:
    """docs, "How to Reassign or Unassign Reserved IPs": "Droplets within the same datacenter"."""
    identity, _ = droplet(ocean)
    address, _ = ocean(service.RESERVED_IP).create(region=region)
    wanted = int(identity) if region == "ams3" else 1
    with pytest.raises(CallFailedError, match=message):
        ocean(service.RESERVED_IP_ASSIGNMENT).create(ipAddress=address, dropletId=wanted)


def test_a_droplet_has_one_reserved_ip(paper: PaperCloud, ocean: OceanOf) -> None:
    """docs, Reserved IP Limits: "Droplets cannot have more than one reserved IP address"."""
    identity, _ = droplet(ocean)
    ocean(service.RESERVED_IP).create(region="nyc3", dropletId=int(identity))
    address, _ = ocean(service.RESERVED_IP).create(region="nyc3")
    with pytest.raises(CallFailedError, match="422 The droplet already has a reserved IP"):
        ocean(service.RESERVED_IP_ASSIGNMENT).create(ipAddress=address, dropletId=int(identity))


def test_an_account_has_three_reserved_ips(paper: PaperCloud, ocean: OceanOf) -> None:
    """docs, Reserved IP Limits: "By default, you can reserve three reserved IPs per account"."""
    for _ in range(3):
        ocean(service.RESERVED_IP).create(region="nyc3")
    with pytest.raises(CallFailedError, match="422 You have reached the limit"):
        ocean(service.RESERVED_IP).create(region="nyc3")


def test_bad_regions_and_addresses_are_refused(paper: PaperCloud, ocean: OceanOf) -> None:
    """The API; TF resource_reserved_ip_assignment.go: `IsIPv4Address`."""
    with pytest.raises(CallFailedError, match="422 region 'mars1' does not exist"):
        ocean(service.RESERVED_IP).create(region="mars1")
    wrong = ocean(service.RESERVED_IP_ASSIGNMENT).check(ipAddress="203.0.113", dropletId=1)[1]
    assert "valid IPv4 address" in wrong["ipAddress"]


def test_a_refresh_of_an_assignment_whose_address_is_gone_fails_as_the_plug_in_does(
    paper: PaperCloud, ocean: OceanOf
) -> None:
    """TF resource_reserved_ip_assignment.go: the read answers "Error retrieving reserved IP" for a 404."""
    identity, _ = droplet(ocean)
    address, reserved = ocean(service.RESERVED_IP).create(region="nyc3")
    it = ocean(service.RESERVED_IP_ASSIGNMENT)
    given, state = it.create(ipAddress=address, dropletId=int(identity))
    paper.account.drop(address)
    assert ocean(service.RESERVED_IP).read(address, reserved) is None
    with pytest.raises(CallFailedError, match="Error retrieving reserved IP: GET .*: 404"):
        it.read(given, state)


# -- VPCs --------------------------------------------------------------------------------------------------------------


def test_a_vpc_has_members_and_goes_after_them(paper: PaperCloud, ocean: OceanOf) -> None:
    """openapi delete_vpc.yml: "a VPC that still has members will result in a 403 Forbidden"."""
    it = ocean(service.VPC)
    service.make_default_vpc(paper.account, "nyc3")
    vpc, network = it.create(name="apps", region="nyc3", ipRange="10.10.10.0/24")
    identity, state = droplet(ocean, vpcUuid=vpc)
    assert (state["vpcUuid"], network["default"]) == (vpc, False)
    with pytest.raises(CallFailedError, match="403 Can not delete VPC with members"):
        it.delete(network, vpc)
    ocean(service.DROPLET).delete(state, identity)
    it.delete(network, vpc)
    assert paper.empty


def test_the_first_vpc_of_a_region_is_its_default_for_ever(paper: PaperCloud, ocean: OceanOf) -> None:
    """digitalocean/godo 337: "the first VPC created in a region will become its default"; openapi delete_vpc.yml:
    "The default VPC for a region can not be deleted"."""
    it = ocean(service.VPC)
    with pytest.raises(CallFailedError, match="404 unable to find default VPC in nyc3 region"):
        it.invoke("digitalocean:index/getVpc:getVpc", region="nyc3")
    vpc, network = it.create(name="apps", region="nyc3")
    assert network["default"] is True
    with pytest.raises(CallFailedError, match="403 Can not delete default VPC"):
        it.delete(network, vpc)
    assert it.invoke("digitalocean:index/getVpc:getVpc", region="nyc3")["id"] == vpc
    assert droplet(ocean)[1]["vpcUuid"] == vpc  # whoever names none
    assert it.create(name="second", region="nyc3")[1]["default"] is False
    droplet(ocean, name="other", region="ams3")  # whose VPC the service makes
    assert it.create(name="third", region="ams3")[1]["default"] is False


def test_a_vpc_is_found_by_id_name_and_region(paper: PaperCloud, ocean: OceanOf) -> None:
    """SDK, getVpc: "the `region` ... the default VPC for the region"; a droplet without a VPC goes to that one."""
    service.make_default_vpc(paper.account, "nyc3")
    vpc, made = ocean(service.VPC).create(name="apps", region="nyc3")
    get = "digitalocean:index/getVpc:getVpc"
    it = ocean(service.VPC)
    assert it.invoke(get, name="apps")["id"] == it.invoke(get, id=vpc)["id"] == vpc
    default = it.invoke(get, region="nyc3")
    assert (default["default"], default["region"]) == (True, "nyc3")
    assert droplet(ocean)[1]["vpcUuid"] == default["id"]
    assert it.invoke(get, name="default-nyc3") == default
    assert ipaddress.ip_network(made["ipRange"]).prefixlen == 20  # openapi vpc.yml: "a `/20` network is generated"
    with pytest.raises(CallFailedError, match="404 no VPC found"):
        it.invoke(get, name="none")


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"name": "my_vpc"}, "422 name may only contain alphanumeric characters, dashes, and periods"),
        ({"region": "mars1"}, "422 region 'mars1' does not exist"),
        ({"ipRange": "10.10.0.0/15"}, "422 ip_range '10.10.0.0/15' may not be smaller than /24 nor larger than /16"),
        ({"ipRange": "10.10.10.0/25"}, "422 .* may not be smaller than /24"),
        ({"ipRange": "192.0.2.0/24"}, "422 .* not within the private addresses of RFC 1918"),
        ({"ipRange": "10.107.0.0/24"}, "422 .* overlaps with another VPC network"),
        ({"ipRange": "10.10.10.1/24"}, "422 .* is no network in CIDR notation"),
        ({"name": "taken"}, "422 a VPC with this name already exists"),
    ],
)
def test_the_api_refuses_bad_vpcs(paper: PaperCloud, ocean: OceanOf, wishes: dict[str, str], message: str) -> None:
    """openapi vpc.yml: pattern, "Must be unique", ranges."""
    ocean(service.VPC).create(name="taken", region="nyc3")
    with pytest.raises(CallFailedError, match=message):
        ocean(service.VPC).create(**{"name": "apps", "region": "nyc3", **wishes})


def test_a_vpc_is_of_one_region(paper: PaperCloud, ocean: OceanOf) -> None:
    """docs, VPC Limit: no "individual VPC networks that span between datacenter regions"."""
    vpc, _ = ocean(service.VPC).create(name="apps", region="ams3")
    with pytest.raises(CallFailedError, match="422 VPC .* is in ams3, not in nyc3"):
        droplet(ocean, vpcUuid=vpc)


def test_a_vpc_is_renamed_in_place_and_replaced_for_another_range(paper: PaperCloud, ocean: OceanOf) -> None:
    """TF resource_vpc.go: what is ForceNew; `IsCIDR` and the length of `description` in a preview."""
    it = ocean(service.VPC)
    vpc, state = it.create(name="apps", region="nyc3", ipRange="10.10.10.0/24")
    assert it.diff(state, name="apps", region="nyc3", ipRange="10.11.0.0/24") == {"ipRange": "UPDATE_REPLACE"}
    renamed = it.update(state, id=vpc, name="other", region="nyc3", ipRange="10.10.10.0/24", description="ours")
    assert (renamed["name"], renamed["description"]) == ("other", "ours")
    _, wrong = it.check(name="apps", region="nyc3", ipRange="10.10", description="x" * 256)
    assert sorted(wrong) == ["description", "ipRange"]
    paper.account.drop(vpc)
    assert it.read(vpc, renamed) is None


# -- projects ----------------------------------------------------------------------------------------------------------


def test_a_project_holds_what_it_is_given_until_that_goes(paper: PaperCloud, ocean: OceanOf) -> None:
    """SDK, ProjectResources: "resources associated with the project" by their uniform resource names."""
    identity, made = droplet(ocean)
    project, state = ocean(service.PROJECT).create(name="shop", environment="Production")
    other, other_state = ocean(service.PROJECT).create(name="other")
    it = ocean(service.PROJECT_RESOURCES)
    held, resources = it.create(project=project, resources=[made["dropletUrn"]])
    assert (held, resources["resources"]) == (project, [made["dropletUrn"]])
    ocean(service.PROJECT_RESOURCES).create(project=other, resources=[made["dropletUrn"]])
    seen = it.read(held, resources)  # a thing is in one project
    assert seen is not None
    assert seen["resources"] == []
    ocean(service.DROPLET).delete(made, identity)
    told = ocean(service.PROJECT).read(other, other_state)
    assert told is not None
    assert told["resources"] == []
    it.delete(resources, held)
    ocean(service.PROJECT).delete(state, project)
    assert ocean(service.PROJECT).read(project, state) is None
    assert it.read(held, resources) is None


def test_a_project_refuses_what_it_cannot_hold(paper: PaperCloud, ocean: OceanOf) -> None:
    """The API's errors; TF resource_project.go: lengths and `environment` in a preview."""
    with pytest.raises(CallFailedError, match="400 resource not found"):
        ocean(service.PROJECT).create(name="shop", resources=["do:droplet:1"])
    with pytest.raises(CallFailedError, match="404"):
        ocean(service.PROJECT_RESOURCES).create(project="none", resources=[])
    _, wrong = ocean(service.PROJECT).check(name="x" * 176, environment="test", purpose="x" * 256)
    assert sorted(wrong) == ["environment", "name", "purpose"]
    assert "no effect" in ocean(service.PROJECT).check(name="shop", isDefault=True)[1]["isDefault"]


def test_a_project_is_changed_in_place(paper: PaperCloud, ocean: OceanOf) -> None:
    """TF resource_project.go: nothing is ForceNew; what is removed goes to the default project."""
    _, made = droplet(ocean)
    it = ocean(service.PROJECT)
    project, state = it.create(name="shop", resources=[made["dropletUrn"]])
    changed = it.update(state, id=project, name="market", resources=[])
    assert (changed["name"], changed["resources"], changed["purpose"]) == ("market", [], "Web Application")


def test_rules_raise_what_the_service_answers() -> None:
    """The rig's own shape: a refusal has a status."""
    with pytest.raises(ServiceError) as refused:
        rules.ports("tcp", "x")
    assert refused.value.status == 422
