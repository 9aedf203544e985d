"""Reading an SDK's source finds what importing it finds: names, what is required, kinds, outputs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from . import command, random_values, sdk, shapes, tls_keys
from .values import UNKNOWN

IMPORTING = """
import inspect, json, sys
import pulumi_digitalocean as package
from pulumi import _types

def described(name):
    wire = _types.input_type_py_to_pulumi_names(getattr(package, name + "Args"))
    parameters = inspect.signature(getattr(package, name + "Args").__init__).parameters.values()
    return {
        "inputs": sorted(wire.values()),
        "required": sorted(wire[p.name] for p in parameters if p.name in wire and p.default is p.empty),
        "outputs": sorted(_types.resource_pulumi_to_py_names(getattr(package, name))),
    }

print(json.dumps({name: described(name) for name in sys.argv[1:]}))
"""
DROPLET = "digitalocean:index/droplet:Droplet"


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the test's own, on disk and in the process."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for function in (sdk.resource, sdk.function, sdk.provider_shape, sdk._cache):
        function.cache_clear()


def imported(*names: str) -> dict[str, Any]:
    """What a process that imports the SDK of DigitalOcean sees of these resources."""
    done = subprocess.run([sys.executable, "-c", IMPORTING, *names], capture_output=True, check=True, timeout=120)
    return dict(json.loads(done.stdout))


def test_what_is_read_is_what_an_import_sees() -> None:
    names = ("Droplet", "Firewall", "DatabaseCluster", "DatabaseFirewall", "ReservedIp", "SshKey", "Vpc")
    for name, seen in imported(*names).items():
        inputs, outputs = sdk.resource_shape("digitalocean", f"digitalocean:index/{name[0].lower()}{name[1:]}:{name}")
        assert sorted(inputs) == seen["inputs"]
        assert sorted(key for key, spec in inputs.items() if spec.required) == seen["required"]
        assert sorted(outputs) == seen["outputs"]


def test_kinds_are_told_inside_objects_and_lists_too() -> None:
    shape, _ = sdk.resource_shape("digitalocean", "digitalocean:index/firewall:Firewall")
    rule = shape["inboundRules"].items
    assert (shape["inboundRules"].kind, rule.kind if rule else "") == ("list", "object")
    assert rule is not None
    assert rule.fields["protocol"].required
    assert rule.fields["sourceAddresses"].items == shapes.Input("string")
    instance, _ = sdk.resource_shape("aws", "aws:ec2/instance:Instance")
    assert instance["metadataOptions"].fields["httpPutResponseHopLimit"].kind == "integer"
    assert instance["instanceType"].kind == "string"  # text or a member of an enumeration of texts
    assert (instance["tags"].kind, instance["tags"].items) == ("map", shapes.Input("string"))


@pytest.mark.parametrize("stand_in", [command, random_values, tls_keys])
def test_what_the_older_stand_ins_declare_is_what_their_sdks_say(stand_in: ModuleType) -> None:
    provider = stand_in.provider("1")
    for token, resource in provider.resources.items():
        inputs, outputs = sdk.resource_shape(provider.name, token)
        assert set(resource.inputs) == set(inputs)
        assert {name for name, spec in inputs.items() if spec.required} <= set(resource.inputs)
        assert set(resource.outputs) <= outputs
    for token, function in provider.functions.items():
        assert set(function.inputs) == set(sdk.function_shape(provider.name, token)[0])


def test_a_function_tells_what_it_requires_and_answers() -> None:
    inputs, outputs = sdk.function_shape("aws", "aws:ssm/getParameter:getParameter")
    assert {name: spec.required for name, spec in inputs.items()} == {
        "name": True,
        "region": False,
        "withDecryption": False,
    }
    assert {"value", "insecureValue", "version", "arn"} <= outputs
    image = sdk.function("aws", "aws:ec2/getAmi:getAmi")
    assert image.inputs["filters"].items is not None
    assert image.inputs["filters"].items.fields["values"].required
    assert image.outputs["rootDeviceName"].required


def test_the_configuration_of_a_provider_is_known() -> None:
    assert {"accessKey", "secretKey", "region", "profile"} <= sdk.provider_shape("aws").keys()
    assert "token" in sdk.provider_shape("linode")
    assert sdk.provider_shape("random") == {}


def test_a_type_that_the_sdk_does_not_have_is_no_type() -> None:
    with pytest.raises(sdk.UnknownTypeError, match="aws:ec2/toaster:Toaster"):
        sdk.resource("aws", "aws:ec2/toaster:Toaster")
    with pytest.raises(sdk.UnknownTypeError, match="pulumi_nowhere is not installed"):
        sdk.resource("nowhere", "nowhere:index/thing:Thing")


def test_a_second_process_reads_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = sdk.resource("digitalocean", DROPLET)
    (kept,) = tmp_path.rglob("*.json")
    assert f"digitalocean-{sdk.version('digitalocean')}" in str(kept)
    sdk.resource.cache_clear()
    monkeypatch.setattr(sdk, "_read_resource", None)
    assert sdk.resource("digitalocean", DROPLET) == first


def test_inputs_are_judged_by_the_shape_that_was_read() -> None:
    shape, _ = sdk.resource_shape("digitalocean", "digitalocean:index/firewall:Firewall")
    good = {"protocol": "tcp", "portRange": "22", "sourceAddresses": ["0.0.0.0/0", UNKNOWN]}
    wrong = dict(
        shapes.failures(
            {"inboundRules": [good, UNKNOWN, {"portRnge": 22, "protocol": "tcp", "sourceAddresses": [1]}], "tags": "a"},
            shape,
        )
    )
    assert "did you mean 'portRange'" in wrong.pop("inboundRules[2].portRnge")
    assert wrong == {
        "inboundRules[2].sourceAddresses[0]": "must be of type string, not int",
        "tags": "must be of type list, not str",
    }
