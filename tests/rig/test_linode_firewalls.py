"""The stand-in's firewalls against their sources, and what lists of rules let pass.

Sources: linode/terraform-provider-linode ("TF", by file), techdocs.akamai.com/linode-api ("API").
"""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from .clouds import linode
from .clouds.linode import rules, service
from .clouds.network import Opening
from .direct import CallFailedError
from .linodes import LinodeOf, instance, with_token
from .paper_cloud import PaperCloud

SSH = {"label": "accept-ssh", "action": "ACCEPT", "protocol": "TCP", "ports": "22", "ipv4s": ["0.0.0.0/0"]}
CLOSED = {"label": "web-fw", "inboundPolicy": "DROP", "outboundPolicy": "ACCEPT"}


@pytest.fixture
def linodes() -> LinodeOf:
    """The types of one plug-in with a token."""
    return with_token()


def filters_of(paper: PaperCloud, identity: str) -> tuple[Any, Any]:
    thing = paper.account.thing(identity)
    assert thing is not None
    return paper.filters[thing["machine"]]


def rule(action: str, protocol: str = "TCP", ports: str = "", *sources: str) -> dict[str, Any]:
    return {"action": action, "protocol": protocol, "ports": ports, "ipv4": list(sources or ["0.0.0.0/0"])}


def passes(openings: list[Opening] | None, protocol: str, port: int, source: str) -> bool:
    """Whether the substrate, told these openings, lets something pass."""
    return openings is None or any(
        opening.protocol == protocol
        and (protocol == "icmp" or opening.first_port <= port <= opening.last_port)
        and any(ipaddress.ip_address(source) in ipaddress.ip_network(network) for network in opening.sources)
        for opening in openings
    )


# -- what rules let pass -----------------------------------------------------------------------------------------------


def test_without_rules_the_policy_decides() -> None:
    """API, firewalls: `inbound_policy`, "the default behavior"."""
    assert rules.passing([], "ACCEPT") is None
    assert rules.passing([], "DROP") == []


def test_the_first_rule_that_speaks_of_some_traffic_decides() -> None:
    """API, firewalls: "If two rules conflict, the first rule takes precedence"."""
    ordered = [rule("DROP", "TCP", "22", "10.1.0.0/16"), rule("ACCEPT", "TCP", "20-30", "10.0.0.0/8")]
    found = rules.passing(ordered, "DROP")
    assert passes(found, "tcp", 22, "10.2.0.1")
    assert passes(found, "tcp", 21, "10.1.0.1")
    assert not passes(found, "tcp", 22, "10.1.0.1")
    assert not passes(found, "tcp", 31, "10.2.0.1")
    assert not passes(found, "udp", 22, "10.2.0.1")
    assert passes(rules.passing(ordered[::-1], "DROP"), "tcp", 22, "10.1.0.1")


def test_what_is_dropped_under_an_open_policy_is_all_that_is_dropped() -> None:
    """API, firewalls, as above."""
    found = rules.passing([rule("DROP", "ALL", "", "192.0.2.0/24"), rule("DROP", "TCP", "25")], "ACCEPT")
    assert not passes(found, "icmp", 0, "192.0.2.7")
    assert not passes(found, "tcp", 25, "198.51.100.1")
    assert passes(found, "tcp", 26, "198.51.100.1")
    assert passes(found, "udp", 25, "198.51.100.1")


def test_protocols_that_the_rig_does_not_speak_change_nothing() -> None:
    """The rig: IPENCAP and numbers are taken, and are in no opening."""
    assert rules.passing([rule("ACCEPT", "IPENCAP"), rule("ACCEPT", "47")], "DROP") == []


@pytest.mark.parametrize(
    ("text", "ranges"),
    [("443", [(443, 443)]), ("80-90, 91", [(80, 90), (91, 91)]), ("22,80", [(22, 22), (80, 80)]), ("", [(0, 65535)])],
)
def test_ports_in_all_their_notations(text: str, ranges: list[tuple[int, int]]) -> None:
    """SDK, `ports`: `"443" or "80-90, 91"`; none: all."""
    assert rules.ports(text) == ranges


# -- firewalls ---------------------------------------------------------------------------------------------------------


def test_a_linode_is_open_until_a_firewall_governs_it(paper: PaperCloud, linodes: LinodeOf) -> None:
    """API, firewalls: they apply to the Linodes that they are assigned to."""
    identity, _ = instance(linodes)
    assert filters_of(paper, identity) == (None, None)
    it = linodes(service.FIREWALL)
    firewall, state = it.create(**CLOSED, inbounds=[SSH], linodes=[int(identity)])
    assert filters_of(paper, identity) == ([Opening("tcp", 22, 22, ["0.0.0.0/0"])], None)
    assert (state["status"], [device["label"] for device in state["devices"]]) == ("enabled", ["web"])
    off = it.update(state, id=firewall, **CLOSED, inbounds=[SSH], linodes=[int(identity)], disabled=True)
    assert (off["status"], filters_of(paper, identity)) == ("disabled", (None, None))
    it.delete(state, firewall)
    assert service.FIREWALL not in {thing["type"] for thing in paper.account.things().values()}


def test_a_linode_can_be_governed_from_its_first_packet_on(paper: PaperCloud, linodes: LinodeOf) -> None:
    """SDK, `firewall_id`: "The ID of the Firewall to attach to the instance upon creation"."""
    firewall, state = linodes(service.FIREWALL).create(**CLOSED, inbounds=[SSH])
    identity, _ = instance(linodes, firewallId=int(firewall))
    (wishes,) = paper.wishes.values()
    assert wishes["incoming"] == [Opening("tcp", 22, 22, ["0.0.0.0/0"])]
    seen = linodes(service.FIREWALL).read(firewall, state)
    assert seen is not None
    assert seen["linodes"] == [int(identity)]
    changed = linodes(service.FIREWALL).update(seen, id=firewall, **CLOSED, inbounds=[{**SSH, "ports": "2222"}])
    assert changed["linodes"] == [int(identity)]
    assert filters_of(paper, identity)[0] == [Opening("tcp", 2222, 2222, ["0.0.0.0/0"])]


def test_a_device_adds_a_linode_to_a_firewall(paper: PaperCloud, linodes: LinodeOf) -> None:
    """SDK, FirewallDevice: `entity_id`, `entity_type` (default: `linode`)."""
    identity, _ = instance(linodes)
    firewall, _ = linodes(service.FIREWALL).create(**CLOSED, inbounds=[SSH])
    it = linodes(service.FIREWALL_DEVICE)
    device, state = it.create(firewallId=int(firewall), entityId=int(identity))
    assert filters_of(paper, identity)[0] == [Opening("tcp", 22, 22, ["0.0.0.0/0"])]
    assert it.read(device, state) == state
    it.delete(state, device)
    assert filters_of(paper, identity) == (None, None)
    assert it.read(device, state) is None
    assert "entityType" in it.check(firewallId=1, entityId=1, entityType="nodebalancer")[1]


def test_one_enabled_firewall_governs_a_linode(paper: PaperCloud, linodes: LinodeOf) -> None:
    """API, "Create a firewall device": a Linode can be assigned to a single active firewall."""
    identity, _ = instance(linodes)
    it = linodes(service.FIREWALL)
    it.create(**CLOSED, inbounds=[SSH], linodes=[int(identity)])
    with pytest.raises(
        CallFailedError, match=r"Failed to create Firewall: \[400\] \[devices.linodes\].*active firewall"
    ):
        it.create(**{**CLOSED, "label": "other"}, linodes=[int(identity)])
    it.create(**{**CLOSED, "label": "other"}, linodes=[int(identity)], disabled=True)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"label": "1web"}, r"\[label\] Must begin with a letter"),  # API, firewalls, the pattern of `label`
        ({"label": "x" * 33}, r"\[label\] Length must be 3-32"),  # API: 32, where the plug-in lets 64 pass
        ({"inbounds": [{**SSH, "ports": "99999"}]}, r"\[ports\] Must be ports"),
        ({"inbounds": [{**SSH, "ports": ",".join(map(str, range(1, 17)))}]}, r"\[ports\] Must have at most 15"),
        ({"inbounds": [{**SSH, "protocol": "ICMP"}]}, r"\[ports\] Ports are not allowed for ICMP"),
        ({"inbounds": [{**SSH, "ipv4s": ["10.0.0.1"]}]}, r"\[addresses.ipv4\] Must be in IP/mask format"),
        ({"inbounds": [{**SSH, "ipv6s": ["10.0.0.0/8"]}]}, r"\[addresses.ipv6\] Must be in IP/mask format"),
        ({"inbounds": [{k: v for k, v in SSH.items() if k != "ipv4s"}]}, r"\[addresses\] Must have at least one"),
        ({"inbounds": [SSH] * 26}, r"\[rules\] A Firewall may have up to 25 rules"),
        ({"linodes": [1]}, r"\[devices.linodes\] Linode 1 not found"),
    ],
)
def test_the_api_refuses_bad_firewalls(
    paper: PaperCloud, linodes: LinodeOf, wishes: dict[str, Any], message: str
) -> None:
    """API, "Create a firewall"; linode/manager, `firewalls.schema.ts`, for ports without TCP and UDP."""
    linodes(service.FIREWALL).create(preview=True, **{**CLOSED, **wishes})
    with pytest.raises(CallFailedError, match=rf"Failed to create Firewall: \[400\] {message}"):
        linodes(service.FIREWALL).create(**{**CLOSED, **wishes})
    assert paper.empty


def test_labels_of_firewalls_are_unique(paper: PaperCloud, linodes: LinodeOf) -> None:
    """API, firewalls, `label`: "Must be unique"."""
    linodes(service.FIREWALL).create(**CLOSED)
    with pytest.raises(CallFailedError, match=r"\[label\] Label must be unique"):
        linodes(service.FIREWALL).create(**CLOSED)


def test_the_plug_in_refuses_in_a_preview(linodes: LinodeOf) -> None:
    """TF firewall/framework_schema_resource.go: `OneOf`, `LengthBetween`, `SizeAtLeast`."""
    bad = {"label": "x", "action": "ALLOW", "protocol": "tcp", "ports": "", "ipv4s": []}
    _, wrong = linodes(service.FIREWALL).check(**{**CLOSED, "inboundPolicy": "DENY", "label": "x"}, inbounds=[bad])
    fields = ("action", "ipv4s", "label", "ports", "protocol")
    assert sorted(wrong) == ["inboundPolicy", *(f"inbounds[0].{name}" for name in fields), "label"]


def test_a_refresh_sees_changes_and_deletion(paper: PaperCloud, linodes: LinodeOf) -> None:
    """TF firewall/framework_resource.go, `Read`."""
    it = linodes(service.FIREWALL)
    firewall, state = it.create(**CLOSED, inbounds=[SSH])
    assert it.read(firewall, state) == state
    thing = paper.account.thing(firewall)
    assert thing is not None
    paper.account.put(firewall, {**thing, "inbound": []})
    seen = it.read(firewall, state)
    assert seen is not None
    assert seen["inbounds"] == []
    paper.account.drop(firewall)
    assert it.read(firewall, state) is None


def test_a_linode_that_is_gone_is_in_no_firewall(paper: PaperCloud, linodes: LinodeOf) -> None:
    """API, "Delete a Linode"; and one that was taken away behind Pulumi's back."""
    identity, made = instance(linodes)
    it = linodes(service.FIREWALL)
    firewall, state = it.create(**CLOSED, inbounds=[SSH], linodes=[int(identity)])
    linodes(service.INSTANCE).delete(made, identity)
    seen = it.read(firewall, state)
    assert seen is not None
    assert seen["linodes"] == []
    linode.settle(paper.account)
