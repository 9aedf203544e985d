"""The stand-in's tags against openapi (`tags_create_new.yml`, `tags_delete.yml`) and TF `tag/resource_tag.go`."""

from __future__ import annotations

import pytest

from .clouds.digitalocean import service
from .direct import CallFailedError
from .ocean import OceanOf, droplet, with_token
from .paper_cloud import PaperCloud

SSH = {"protocol": "tcp", "portRange": "22", "sourceAddresses": ["0.0.0.0/0"]}


@pytest.fixture
def ocean() -> OceanOf:
    """The types of one plug-in with a token."""
    return with_token()


def filter_of(paper: PaperCloud, identity: str) -> object:
    thing = paper.account.thing(identity)
    assert thing is not None
    return paper.filters[thing["machine"]][0]


def test_a_firewall_may_name_a_tag_before_a_droplet_has_it(paper: PaperCloud, ocean: OceanOf) -> None:
    """openapi firewall.yml: `tags` are `existing_tags_array`."""
    with pytest.raises(CallFailedError, match="tag 'web' does not exist"):
        ocean(service.FIREWALL).create(name="web", tags=["web"], inboundRules=[SSH])
    identity, state = ocean(service.TAG).create(name="web")
    assert (identity, state["dropletsCount"]) == ("web", 0)
    ocean(service.FIREWALL).create(name="web", tags=["web"], inboundRules=[SSH])
    machine, _ = droplet(ocean, tags=["web"])
    assert filter_of(paper, machine) is not None


def test_deleting_a_tag_takes_it_from_what_has_it(paper: PaperCloud, ocean: OceanOf) -> None:
    """openapi tags_delete.yml: "untags all the resources that have previously been tagged"."""
    tags = ocean(service.TAG)
    identity, state = tags.create(name="web")
    ocean(service.FIREWALL).create(name="web", tags=["web"], inboundRules=[SSH])
    machine, _ = droplet(ocean, tags=["web", "blue"])
    tags.delete(state, identity)
    assert paper.account.things()[machine]["tags"] == ["blue"]
    assert filter_of(paper, machine) is None


def test_a_tag_has_the_letters_that_the_plug_in_allows(paper: PaperCloud, ocean: OceanOf) -> None:
    """TF tag/tags.go: `ValidateTag`, seen in a preview."""
    _, failures = ocean(service.TAG).check(name="a tag")
    assert "'a tag': tags may contain lowercase letters" in failures["tags"]
