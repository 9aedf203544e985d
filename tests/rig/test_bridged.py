"""What stand-ins of bridged providers share, against pulumi/pulumi-terraform-bridge, `pkg/tfbridge` ("bridge")."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from pulumi.runtime.proto import provider_pb2

from .bridged import DEFAULTS, BridgedConfiguration, BridgedResource
from .direct import CallFailedError, Direct
from .provider import Provider
from .resources import Call
from .values import UNKNOWN, Properties, decode, encode

TOKEN = "digitalocean:index/vpc:Vpc"


class Vpc(BridgedResource):
    """Networks that live in a dictionary."""

    takes = ("name", "region", "description")
    defaults: ClassVar = {"description": "made here"}
    autoname: ClassVar = {"name": 20}
    replacing = ("region",)

    def __init__(self) -> None:
        self.there: dict[str, Properties] = {}
        self.more: Properties = {}

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        self.there["1"] = {**inputs, "ipRange": "10.0.0.0/16", "default": False, **self.more}
        return "1", self.there["1"]

    def read(self, identity: str, state: Properties, call: Call) -> Properties | None:
        return self.there.get(identity)

    def update(self, state: Properties, inputs: Properties, call: Call) -> Properties:
        self.there[call.id] = {**state, **inputs}
        return self.there[call.id]


@pytest.fixture
def vpcs() -> Vpc:
    return Vpc()


@pytest.fixture
def direct(vpcs: Vpc) -> Direct:
    return Direct(
        Provider("digitalocean", "4", {TOKEN: vpcs}, configuration=BridgedConfiguration("digitalocean")), TOKEN, "net"
    )


def checked(direct: Direct, seed: bytes, old: dict[str, Any], **news: Any) -> Properties:
    request = provider_pb2.CheckRequest(urn=direct.urn, news=encode(news), olds=encode(old), randomSeed=seed)
    return decode(direct.provider.Check(request, direct.context).inputs)


def test_a_name_is_made_once_and_kept_until_another_is_wanted(direct: Direct) -> None:
    """bridge names.go: name, separator and seven digits; kept from the old inputs while these say it was made."""
    first = checked(direct, b"one", {}, region="ams3")
    assert first["name"].startswith("net-")
    assert len(first["name"]) == len("net-") + 7
    assert checked(direct, b"one", {}, region="ams3") == first  # preview and up have one seed
    assert checked(direct, b"two", first, region="ams3")["name"] == first["name"]
    assert checked(direct, b"two", {}, region="ams3")["name"] != first["name"]  # a replacement: no old inputs
    mine = checked(direct, b"two", first, region="ams3", name="mine")
    assert (mine["name"], mine[DEFAULTS]) == ("mine", ["description"])
    assert checked(direct, b"three", mine, region="ams3")["name"] != "mine"


def test_a_long_name_is_cut_and_not_its_digits(vpcs: Vpc) -> None:
    it = Direct(Provider("digitalocean", "4", {TOKEN: vpcs}), TOKEN, "n" * 40)
    assert len(checked(it, b"one", {}, region="ams3")["name"]) == 20


def test_what_has_no_effect_here_is_refused_and_what_the_sdk_has_not_too(direct: Direct) -> None:
    _, failures = direct.check(region="ams3", ipRange="10.0.0.0/8", regoin="x")
    assert failures == {
        "ipRange": "not supported by this stand-in: it would have no effect",
        "regoin": "not an input that this stand-in knows; did you mean 'region'?",
    }


def test_an_output_that_the_sdk_does_not_know_is_an_error_of_the_stand_in(vpcs: Vpc, direct: Direct) -> None:
    vpcs.more = {"ipAddress": "10.0.0.1"}
    with pytest.raises(AssertionError, match="ipAddress"):
        direct.create(region="ams3")
    vpcs.more = {"default": "no"}
    with pytest.raises(AssertionError, match="default: must be of type boolean"):
        direct.create(region="ams3")


def test_a_preview_knows_what_the_inputs_say_and_no_more(direct: Direct) -> None:
    """bridge: what is computed is unknown; what is optional and not given is absent."""
    _, planned = direct.create(preview=True, region="ams3", name="a")
    assert planned["name"] == "a"
    assert planned["ipRange"] == UNKNOWN
    _, state = direct.create(region="ams3", name="a")
    planned = direct.update(state, preview=True, region="ams3", name="a", description="other")
    assert (planned["description"], planned["ipRange"]) == ("other", "10.0.0.0/16")


def test_a_replacement_begins_with_the_deletion_when_the_name_was_chosen(direct: Direct) -> None:
    """bridge provider.go, nameRequiresDeleteBeforeReplace."""

    def deleted_first(old: dict[str, Any], new: dict[str, Any]) -> bool:
        request = provider_pb2.DiffRequest(urn=direct.urn, old_inputs=encode(old), news=encode(new))
        answer = direct.provider.Diff(request, direct.context)
        assert list(answer.replaces) == ["region"]
        return answer.deleteBeforeReplace

    chosen = checked(direct, b"one", {}, region="ams3", name="a")
    assert deleted_first(chosen, checked(direct, b"one", chosen, region="fra1", name="a"))
    made = checked(direct, b"one", {}, region="ams3")
    assert not deleted_first(made, checked(direct, b"one", made, region="fra1"))
    assert not deleted_first(chosen, checked(direct, b"one", chosen, region="fra1", name="b"))


def test_an_input_and_an_output_of_one_name_need_not_be_alike(vpcs: Vpc, direct: Direct) -> None:
    """bridge: differences are between inputs; what the service fills in or spells otherwise is none."""
    vpcs.more = {"description": "MADE HERE"}
    _, state = direct.create(region="ams3", name="a")
    assert direct.diff(state, region="ams3", name="a") == {}
    assert direct.diff(state, region="fra1", name="a") == {"region": "UPDATE_REPLACE"}
    assert direct.diff(state, region="ams3", name="a", description="x") == {"description": "UPDATE"}


def test_a_refresh_shows_what_is_gone_and_what_was_changed(vpcs: Vpc, direct: Direct) -> None:
    """bridge: Read answers an empty id for what is gone; a changed output becomes the input it is the output of."""
    identity, state = direct.create(region="ams3", name="a")
    inputs = direct.inputs_of(state)
    vpcs.there[identity] = {**state, "description": "changed by hand"}
    request = provider_pb2.ReadRequest(urn=direct.urn, id=identity, properties=encode(state), inputs=encode(inputs))
    answer = direct.provider.Read(request, direct.context)
    assert decode(answer.inputs) == {**inputs, "description": "changed by hand"}
    assert decode(answer.properties)["description"] == "changed by hand"
    imported = provider_pb2.ReadRequest(urn=direct.urn, id=identity)
    assert decode(direct.provider.Read(imported, direct.context).inputs)["region"] == "ams3"
    del vpcs.there[identity]
    assert direct.read(identity, state) is None


def test_settings_are_those_of_the_sdk_and_come_as_text(direct: Direct) -> None:
    """SDK provider.py: what is no text is sent as JSON."""
    assert "did you mean 'token'" in direct.configure(tokken="x")["tokken"]
    assert direct.configure(token="secret", httpRetryMax="3", version="4.84.1") == {}
    assert direct.provider.settings == {"token": "secret", "httpRetryMax": 3}
    assert direct.configure(httpRetryMax="three") == {"httpRetryMax": "must be of type integer, not str"}


def test_values_alone_are_not_imported() -> None:
    from . import random_values

    it = Direct(random_values.provider("4.21.4"), "random:index/randomId:RandomId")
    with pytest.raises(CallFailedError, match="cannot import"):
        it.read("abc", {})
