"""The AWS stand-in's networks and security groups.

Sources: hashicorp/terraform-provider-aws, `internal/service/ec2/` ("TF", by file); the EC2 API reference, "Error codes
for the Amazon EC2 API" ("API"); the VPC user guide ("guide").
"""

from __future__ import annotations

from typing import Any

import pytest

from .amazon import (
    EGRESS,
    EIP_ASSOCIATION,
    GATEWAY,
    GROUP,
    INGRESS,
    INSTANCE,
    MAIN_ASSOCIATION,
    REGION,
    ROUTE,
    SUBNET,
    TABLE,
    TABLE_ASSOCIATION,
    VPC,
    Amazon,
    image,
    refused,
)
from .clouds import aws
from .clouds.aws import catalog
from .clouds.network import Opening
from .direct import CallFailedError
from .paper_cloud import PaperCloud


@pytest.fixture
def amazon() -> Amazon:
    return Amazon()


# -- places --------------------------------------------------------------------------------------------------------


def test_every_region_has_a_default_vpc_with_a_public_subnet_in_each_zone(paper: PaperCloud, amazon: Amazon) -> None:
    """guide, "Default VPCs": 172.31.0.0/16, a /20 subnet in each zone."""
    vpc = amazon.ask("ec2/getVpc:getVpc", default=True)
    assert (vpc["cidrBlock"], vpc["default"], vpc["enableDnsHostnames"]) == ("172.31.0.0/16", True, True)
    wanted = [{"name": "vpc-id", "values": [vpc["id"]]}]
    ids = amazon.ask("ec2/getSubnets:getSubnets", filters=wanted)["ids"]
    subnets = [amazon.ask("ec2/getSubnet:getSubnet", id=identity) for identity in ids]
    assert [subnet["availabilityZone"] for subnet in subnets] == list(catalog.zones(REGION))
    assert all(subnet["mapPublicIpOnLaunch"] and subnet["defaultForAz"] for subnet in subnets)
    elsewhere = amazon.ask("ec2/getVpc:getVpc", default=True, region="us-east-1")
    assert elsewhere["id"] != vpc["id"]


def test_one_of_several_has_to_be_told_apart(paper: PaperCloud, amazon: Amazon) -> None:
    """TF vpc_data_source.go, vpc_subnet_data_source.go: exactly one match."""
    amazon(VPC).create(cidrBlock="10.1.0.0/16", tags={"Name": "mine"})
    with pytest.raises(CallFailedError, match="multiple EC2 VPCs matched"):
        amazon.ask("ec2/getVpc:getVpc")
    assert amazon.ask("ec2/getVpc:getVpc", tags={"Name": "mine"})["cidrBlock"] == "10.1.0.0/16"
    assert amazon.ask("ec2/getVpc:getVpc", cidrBlock="10.1.0.0/16")["default"] is False
    with pytest.raises(CallFailedError, match="no matching EC2 Subnet found"):
        amazon.ask("ec2/getSubnet:getSubnet", id="subnet-0nowhere")
    with pytest.raises(CallFailedError, match="The filter 'vpc-name' is invalid"):
        amazon.ask("ec2/getSubnets:getSubnets", filters=[{"name": "vpc-name", "values": ["x"]}])


@pytest.mark.parametrize(
    ("cidr", "text"),
    [
        ("10.0.0.0/8", "between 16 and 28 significant bits"),  # TF vpc_.go
        ("10.0.0.0/29", "between 16 and 28 significant bits"),
        ("10.0.0.1/16", "did you mean '10.0.0.0/16'?"),  # TF verify.ValidIPv4CIDRNetworkAddress
        ("everything", "not a valid IPv4 CIDR block"),
    ],
)
def test_a_vpc_has_a_range_of_a_fitting_size(paper: PaperCloud, amazon: Amazon, cidr: str, text: str) -> None:
    assert text in refused(amazon(VPC), cidrBlock=cidr)


def test_subnets_lie_in_their_vpc_and_apart(paper: PaperCloud, amazon: Amazon) -> None:
    """API: InvalidVpcID.NotFound, InvalidSubnet.Range, InvalidSubnet.Conflict."""
    vpc, _ = amazon.network("10.7.0.0/16")
    subnet = amazon(SUBNET)
    assert "InvalidSubnet.Range" in refused(subnet, vpcId=vpc, cidrBlock="10.8.0.0/24")
    assert "InvalidSubnet.Conflict" in refused(subnet, vpcId=vpc, cidrBlock="10.7.1.128/25")
    assert "InvalidVpcID.NotFound" in refused(subnet, vpcId="vpc-0nowhere", cidrBlock="10.7.9.0/24")
    text = refused(subnet, vpcId=vpc, cidrBlock="10.7.9.0/24", availabilityZone="eu-central-1z")
    assert "eu-central-1a, eu-central-1b, eu-central-1c" in text
    assert "did you mean '10.7.9.0/24'?" in refused(subnet, vpcId=vpc, cidrBlock="10.7.9.1/24")


def test_what_is_in_use_stays(paper: PaperCloud, amazon: Amazon) -> None:
    """API: DependencyViolation."""
    vpc, subnets = amazon.network()
    subnet = next(iter(subnets.values()))
    _, instance = amazon.instance(subnetId=subnet)
    with pytest.raises(CallFailedError, match="DependencyViolation"):
        amazon(VPC).delete({"region": REGION}, id=vpc)
    with pytest.raises(CallFailedError, match="DependencyViolation"):
        amazon(SUBNET).delete({"region": REGION}, id=subnet)
    amazon(INSTANCE).delete(instance, id=instance["arn"].split("/")[1])
    for identity in subnets.values():
        amazon(SUBNET).delete({"region": REGION}, id=identity)
    amazon(VPC).delete({"region": REGION}, id=vpc)
    assert paper.empty


def test_a_public_address_leads_somewhere_only_by_a_gateway_and_a_route(paper: PaperCloud, amazon: Amazon) -> None:
    """guide, "Internet gateways": attached, a route to it, and a public address; one missing is no internet."""
    vpc, subnets = amazon.network()
    subnet = next(iter(subnets.values()))
    identity, state = amazon.instance(subnetId=subnet, associatePublicIpAddress=True)
    address = state["publicIp"]
    assert paper.addresses == {address: ""}
    gateway, _ = amazon(GATEWAY).create(vpcId=vpc)
    table, _ = amazon(TABLE).create(vpcId=vpc)
    assert paper.addresses == {address: ""}
    amazon(ROUTE).create(routeTableId=table, destinationCidrBlock="0.0.0.0/0", gatewayId=gateway)
    assert paper.addresses == {address: ""}
    association, made = amazon(TABLE_ASSOCIATION).create(routeTableId=table, subnetId=subnet)
    (machine,) = paper.machines
    assert paper.addresses == {address: machine}
    amazon(TABLE_ASSOCIATION).delete(made, id=association)
    assert paper.addresses == {address: ""}
    assert paper.account.thing(identity) is not None


def test_routes_written_in_a_table_and_the_main_table_count_too(paper: PaperCloud, amazon: Amazon) -> None:
    """TF vpc_route_table.go: `route` blocks; guide: a subnet without a table of its own has the main one."""
    vpc, subnets = amazon.network()
    subnet = next(iter(subnets.values()))
    amazon.instance(subnetId=subnet, associatePublicIpAddress=True)
    gateway, _ = amazon(GATEWAY).create(vpcId=vpc)
    main = amazon.ask("ec2/getVpc:getVpc", id=vpc)["mainRouteTableId"]
    route, made = amazon(ROUTE).create(routeTableId=main, destinationCidrBlock="0.0.0.0/0", gatewayId=gateway)
    (machine,) = paper.machines
    assert machine in paper.addresses.values()
    amazon(ROUTE).delete(made, id=route)
    assert machine not in paper.addresses.values()
    table, state = amazon(TABLE).create(vpcId=vpc)
    amazon(TABLE_ASSOCIATION).create(routeTableId=table, subnetId=subnet)
    routes = [{"cidrBlock": "0.0.0.0/0", "gatewayId": gateway}]
    amazon(TABLE).update(state, id=table, vpcId=vpc, routes=routes)
    assert machine in paper.addresses.values()


def test_another_main_table_is_that_of_all_subnets_without_one(paper: PaperCloud, amazon: Amazon) -> None:
    """TF vpc_main_route_table_association.go: the former main table is told, and comes back at the end."""
    vpc, subnets = amazon.network()
    amazon.instance(subnetId=next(iter(subnets.values())), associatePublicIpAddress=True)
    gateway, _ = amazon(GATEWAY).create(vpcId=vpc)
    routes = [{"cidrBlock": "0.0.0.0/0", "gatewayId": gateway}]
    table, _ = amazon(TABLE).create(vpcId=vpc, routes=routes)
    (machine,) = paper.machines
    it = amazon(MAIN_ASSOCIATION)
    association, state = it.create(vpcId=vpc, routeTableId=table)
    assert state["originalRouteTableId"] == amazon.ask("ec2/getVpc:getVpc", id=vpc)["mainRouteTableId"]
    assert machine in paper.addresses.values()
    it.delete(state, id=association)
    assert machine not in paper.addresses.values()


def test_gateways_and_routes_are_refused_where_they_do_not_fit(paper: PaperCloud, amazon: Amazon) -> None:
    """API: Resource.AlreadyAssociated, RouteAlreadyExists, Invalid*.NotFound; TF vpc_route.go."""
    vpc, subnets = amazon.network()
    gateway, _ = amazon(GATEWAY).create(vpcId=vpc)
    assert "Resource.AlreadyAssociated" in refused(amazon(GATEWAY), vpcId=vpc)
    assert "Resource.AlreadyAssociated" in refused(amazon(GATEWAY), vpcId=amazon.default_vpc())
    table, _ = amazon(TABLE).create(vpcId=vpc)
    anywhere = {"routeTableId": table, "destinationCidrBlock": "0.0.0.0/0"}
    assert "InvalidGatewayID.NotFound" in refused(amazon(ROUTE), **anywhere, gatewayId="igw-0nowhere")
    assert "one of the targets" in refused(amazon(ROUTE), **anywhere)
    amazon(ROUTE).create(**anywhere, gatewayId=gateway)
    assert "RouteAlreadyExists" in refused(amazon(ROUTE), **anywhere, gatewayId=gateway)
    subnet = next(iter(subnets.values()))
    amazon(TABLE_ASSOCIATION).create(routeTableId=table, subnetId=subnet)
    text = refused(amazon(TABLE_ASSOCIATION), routeTableId=table, subnetId=subnet)
    assert "Resource.AlreadyAssociated" in text
    text = refused(amazon(TABLE_ASSOCIATION), routeTableId="rtb-0nowhere", subnetId=subnet)
    assert "InvalidRouteTableID.NotFound" in text


def test_an_elastic_address_needs_a_gateway_and_a_gateway_stays_while_addresses_lead_through_it(
    paper: PaperCloud, amazon: Amazon
) -> None:
    """API: Gateway.NotAttached; DependencyViolation, "has some mapped public address(es)"."""
    vpc, subnets = amazon.network()
    instance, _ = amazon.instance(subnetId=next(iter(subnets.values())), associatePublicIpAddress=True)
    allocation, _ = amazon("ec2/eip:Eip").create(domain="vpc")
    wish = {"allocationId": allocation, "instanceId": instance}
    assert "Gateway.NotAttached" in refused(amazon(EIP_ASSOCIATION), **wish)
    gateway, state = amazon(GATEWAY).create(vpcId=vpc)
    amazon(EIP_ASSOCIATION).create(**wish)
    with pytest.raises(CallFailedError, match="has some mapped public address"):
        amazon(GATEWAY).delete(state, id=gateway)


# -- groups --------------------------------------------------------------------------------------------------------


def test_a_new_group_lets_nothing_in_and_nothing_out(paper: PaperCloud, amazon: Amazon) -> None:
    """TF vpc_security_group.go: "AWS defaults all Security Groups to have an ALLOW ALL egress rule. Here we revoke"."""
    group, _ = amazon(GROUP).create()
    amazon.instance(vpcSecurityGroupIds=[group])
    assert list(paper.filters.values()) == [([], [])]


def test_rules_open_ports_as_soon_as_they_are_there(paper: PaperCloud, amazon: Amazon) -> None:
    """guide, "Security groups": changes apply to the instances at once."""
    group, _ = amazon(GROUP).create()
    amazon.instance(vpcSecurityGroupIds=[group])
    rule, state = amazon.rule(group, 22, cidrIpv4="198.51.100.0/24")
    amazon(EGRESS).create(securityGroupId=group, ipProtocol="-1", cidrIpv4="0.0.0.0/0")
    amazon(INGRESS).create(securityGroupId=group, ipProtocol="tcp", fromPort=22, toPort=22, cidrIpv6="::/0")
    ((incoming, outgoing),) = paper.filters.values()
    assert incoming == [Opening("tcp", 22, 22, ("198.51.100.0/24",))]
    assert outgoing == [Opening("all", sources=("0.0.0.0/0",))]
    it = amazon(INGRESS)
    wish = {"securityGroupId": group, "ipProtocol": "tcp", "cidrIpv4": "198.51.100.0/24"}
    it.update(state, id=rule, **wish, fromPort=2222, toPort=2222)
    assert [opening.first_port for opening in next(iter(paper.filters.values()))[0] or ()] == [2222]
    it.delete(state, id=rule)
    assert next(iter(paper.filters.values()))[0] == []


def test_a_rule_that_names_a_group_means_its_members_whoever_they_are(paper: PaperCloud, amazon: Amazon) -> None:
    """guide, "Security group rules": the private addresses of the resources associated with the source group."""
    web, _ = amazon(GROUP, "web").create()
    data, _ = amazon(GROUP, "data").create()
    amazon.instance("data", vpcSecurityGroupIds=[data])
    (machine,) = paper.machines
    amazon.rule(data, 5432, referencedSecurityGroupId=web)
    assert paper.filters[machine][0] == []
    identity, state = amazon.instance("web", vpcSecurityGroupIds=[web])
    assert paper.filters[machine][0] == [Opening("tcp", 5432, 5432, (state["privateIp"],))]
    amazon(INSTANCE).delete(state, id=identity)
    assert paper.filters[machine][0] == []


def test_the_range_of_a_subnet_means_the_machines_in_it(paper: PaperCloud, amazon: Amazon) -> None:
    """Machines have addresses of the host's bridge: a range of the VPC has to mean them all the same."""
    _, subnets = amazon.network("10.7.0.0/16")
    first, second = subnets.values()
    inside, _ = amazon(GROUP).create(vpcId=amazon.ask("ec2/getSubnet:getSubnet", id=first)["vpcId"])
    _, one = amazon.instance("one", subnetId=first, vpcSecurityGroupIds=[inside])
    amazon.instance("two", subnetId=second, vpcSecurityGroupIds=[inside])
    amazon.rule(inside, 80, cidrIpv4="10.7.0.0/24")
    for incoming, _ in paper.filters.values():
        assert incoming == [Opening("tcp", 80, 80, ("10.7.0.0/24", one["privateIp"]))]


def test_the_default_group_admits_itself(paper: PaperCloud, amazon: Amazon) -> None:
    """guide, "Default security groups": all inbound from the group itself, all outbound."""
    _, one = amazon.instance("one")
    _, two = amazon.instance("two")
    members = (one["privateIp"], two["privateIp"])
    for incoming, outgoing in paper.filters.values():
        assert incoming == [Opening("all", sources=members)]
        assert outgoing == [Opening("all", sources=("0.0.0.0/0",))]


def test_rules_may_be_written_in_the_group(paper: PaperCloud, amazon: Amazon) -> None:
    """TF vpc_security_group.go: `ingress`, `egress` with cidr_blocks, security_groups and self."""
    inline = [{"protocol": "tcp", "fromPort": 80, "toPort": 81, "cidrBlocks": ["0.0.0.0/0"], "self": True}]
    group, _ = amazon(GROUP).create(ingress=inline)
    _, state = amazon.instance(vpcSecurityGroupIds=[group])
    assert next(iter(paper.filters.values()))[0] == [
        Opening("tcp", 80, 81, ("0.0.0.0/0",)),
        Opening("tcp", 80, 81, (state["privateIp"],)),
    ]
    wrong = [{**inline[0], "cidrBlocks": ["10.0.0.1/8"]}]
    assert "did you mean '10.0.0.0/8'?" in refused(amazon(GROUP, "b"), ingress=wrong)


@pytest.mark.parametrize(
    ("wishes", "text"),
    [
        ({"name": "sg-web"}, "cannot begin with sg-"),  # TF vpc_security_group.go
        ({"name": "n" * 256}, "255"),
        ({"description": "für alle"}, "InvalidParameterValue"),  # API CreateSecurityGroup: "Constraints: a-z, A-Z, ..."
        ({"description": ""}, "length"),
        ({"vpcId": "vpc-0nowhere"}, "InvalidVpcID.NotFound"),
        ({"name": "default"}, "InvalidGroup.Duplicate"),
    ],
)
def test_a_group_is_refused(paper: PaperCloud, amazon: Amazon, wishes: dict[str, Any], text: str) -> None:
    assert text in refused(amazon(GROUP), **wishes)


def test_a_name_is_had_once_in_a_vpc(paper: PaperCloud, amazon: Amazon) -> None:
    """API: InvalidGroup.Duplicate."""
    amazon(GROUP).create(name="web")
    assert "InvalidGroup.Duplicate: The security group 'web' already exists" in refused(amazon(GROUP), name="web")
    vpc, _ = amazon.network()
    amazon(GROUP).create(name="web", vpcId=vpc)


@pytest.mark.parametrize(
    ("wishes", "text"),
    [
        ({"cidrIpv4": "10.0.0.1/8"}, "did you mean '10.0.0.0/8'?"),  # TF fwvalidators.IPv4CIDRNetworkAddress
        ({"cidrIpv6": "everybody"}, "not a valid IPv6 CIDR block"),
        ({"cidrIpv4": "0.0.0.0/0", "cidrIpv6": "::/0"}, "exactly one"),  # TF ConfigValidators, ExactlyOneOf
        ({}, "exactly one"),
        ({"cidrIpv4": "0.0.0.0/0", "toPort": 65536}, "between -1 and 65535"),  # TF int64validator.Between
        (
            {"cidrIpv4": "0.0.0.0/0", "fromPort": 443},
            "Invalid TCP/UDP port range (443:22)",
        ),  # API, InvalidParameterValue
        ({"cidrIpv4": "0.0.0.0/0", "ipProtocol": "-1"}, "must not be defined"),  # SDK, ip_protocol
        ({"cidrIpv4": "0.0.0.0/0", "ipProtocol": "quic"}, "Unknown protocol"),
        ({"cidrIpv4": "0.0.0.0/0", "securityGroupId": "sg-0nowhere"}, "InvalidGroup.NotFound"),
        ({"referencedSecurityGroupId": "sg-0nowhere"}, "InvalidGroup.NotFound"),
    ],
)
def test_a_rule_is_refused(paper: PaperCloud, amazon: Amazon, wishes: dict[str, Any], text: str) -> None:
    group, _ = amazon(GROUP).create()
    wish = {"securityGroupId": group, "ipProtocol": "tcp", "fromPort": 22, "toPort": 22, **wishes}
    assert text in refused(amazon(INGRESS), **wish)


def test_a_rule_is_there_once(paper: PaperCloud, amazon: Amazon) -> None:
    """API: InvalidPermission.Duplicate. So a replacement of one that differs in nothing but tags would fail."""
    group, _ = amazon(GROUP).create(ingress=[{"protocol": "tcp", "fromPort": 80, "toPort": 80,
                                              "cidrBlocks": ["0.0.0.0/0"]}])  # fmt: skip
    rule, state = amazon.rule(group, 22)
    same = {"securityGroupId": group, "ipProtocol": "tcp", "cidrIpv4": "0.0.0.0/0"}
    assert "InvalidPermission.Duplicate" in refused(amazon(INGRESS), **same, fromPort=22, toPort=22)
    assert "InvalidPermission.Duplicate" in refused(amazon(INGRESS), **same, fromPort=80, toPort=80)
    it = amazon(INGRESS)
    it.update(state, id=rule, **same, fromPort=22, toPort=22, tags={"a": "b"})


def test_only_another_kind_of_source_replaces_a_rule(paper: PaperCloud, amazon: Amazon) -> None:
    """TF, ModifyPlan: "When you modify a rule, you cannot change the rule's source type."."""
    group, _ = amazon(GROUP).create()
    it = amazon(INGRESS)
    base = {"securityGroupId": group, "ipProtocol": "tcp", "fromPort": 22, "toPort": 22}
    _, state = it.create(**base, cidrIpv4="0.0.0.0/0")
    assert it.diff(state, **base, cidrIpv4="10.0.0.0/8") == {"cidrIpv4": "UPDATE"}
    other = it.diff(state, **base, referencedSecurityGroupId=group)
    assert other == {"cidrIpv4": "DELETE_REPLACE", "referencedSecurityGroupId": "ADD_REPLACE"}


def test_groups_of_different_networks_do_not_know_each_other(paper: PaperCloud, amazon: Amazon) -> None:
    """API: InvalidGroup.NotFound, "You have specified two resources that belong to different networks"."""
    vpc, subnets = amazon.network()
    here, _ = amazon(GROUP).create()
    there, _ = amazon(GROUP).create(vpcId=vpc)
    wish = {"securityGroupId": here, "ipProtocol": "-1", "referencedSecurityGroupId": there}
    assert "different networks" in refused(amazon(INGRESS), **wish)
    subnet = next(iter(subnets.values()))
    text = refused(amazon(INSTANCE), ami=image(), instanceType="t3.micro", subnetId=subnet, vpcSecurityGroupIds=[here])
    assert "belong to different networks" in text


def test_a_group_in_use_stays(paper: PaperCloud, amazon: Amazon) -> None:
    """API: DependencyViolation, "resource sg-... has a dependent object"."""
    web, state = amazon(GROUP, "web").create()
    data, _ = amazon(GROUP, "data").create()
    identity, instance = amazon.instance(vpcSecurityGroupIds=[web])
    with pytest.raises(CallFailedError, match="DependencyViolation"):
        amazon(GROUP).delete(state, id=web)
    amazon(INSTANCE).delete(instance, id=identity)
    rule, made = amazon.rule(data, 5432, referencedSecurityGroupId=web)
    with pytest.raises(CallFailedError, match="DependencyViolation"):
        amazon(GROUP).delete(state, id=web)
    amazon(INGRESS).delete(made, id=rule)
    amazon.rule(web, 80)
    amazon(GROUP).delete(state, id=web)
    assert [thing["type"] for thing in paper.account.things().values()] == [f"aws:{GROUP}"]


def test_what_is_deleted_behind_pulumis_back_is_settled(paper: PaperCloud, amazon: Amazon) -> None:
    group, _ = amazon(GROUP).create()
    amazon.instance(vpcSecurityGroupIds=[group])
    rule, state = amazon.rule(group, 22)
    paper.account.drop(rule)
    aws.settle(paper.account)
    assert next(iter(paper.filters.values()))[0] == []
    assert amazon(INGRESS).read(rule, state) is None
