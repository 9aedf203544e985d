"""The stand-in for pulumi-random against the documentation of the real one and of the provider that it wraps.

Sources: the docstrings of the package pulumi-random 4.21 ("SDK"); hashicorp/terraform-provider-random,
`internal/random/string.go` and `internal/provider/resource_*.go` ("TF").
"""

from __future__ import annotations

import base64
import string

import bcrypt
import pytest

from . import random_values
from .direct import CallFailedError, Direct
from .values import UNKNOWN


def resource(kind: str) -> Direct:
    return Direct(random_values.provider("4.21.4"), f"random:index/{kind[0].lower()}{kind[1:]}:{kind}")


def test_a_password_has_no_value_in_its_id() -> None:
    """TF resource_password.go: the id is `none`. facts: RandomBytes shows its value as id."""
    identity, outputs = resource("RandomPassword").create(length=24)
    assert identity == "none"
    assert len(outputs["result"]) == 24


def test_a_password_comes_with_its_bcrypt_hash() -> None:
    """SDK: `bcrypt_hash`, "a bcrypt hash of the generated random string"."""
    _, outputs = resource("RandomPassword").create(length=24)
    assert bcrypt.checkpw(outputs["result"].encode(), outputs["bcryptHash"].encode())


def test_a_string_is_its_own_id() -> None:
    """TF resource_string.go."""
    identity, outputs = resource("RandomString").create(length=12)
    assert identity == outputs["result"]


def test_kinds_of_characters_can_be_left_out_and_special_ones_chosen() -> None:
    """SDK: `special`, `override_special` and the minimums; TF string.go: which characters each kind has."""
    _, outputs = resource("RandomString").create(
        length=40, upper=False, numeric=False, overrideSpecial="_%", minSpecial=5
    )
    assert set(outputs["result"]) <= set(string.ascii_lowercase + "_%")
    assert sum(character in "_%" for character in outputs["result"]) >= 5


def test_minimums_that_do_not_fit_into_the_length_are_refused() -> None:
    """SDK: `length` must be at least the sum of the minimums and 1."""
    _, failures = resource("RandomString").check(length=3, minUpper=2, minLower=2)
    assert "sum of all minimums (4)" in failures["length"]
    _, failures = resource("RandomString").check(length=0)
    assert "length" in failures


def test_any_changed_input_replaces() -> None:
    """SDK: `keepers`, "arbitrary map of values that, when changed, will trigger recreation"; TF: RequiresReplace."""
    it = resource("RandomString")
    _, state = it.create(length=8, keepers={"a": "1"})
    assert it.diff(state, length=8, keepers={"a": "1"}) == {}
    assert it.diff(state, length=8, keepers={"a": "2"}) == {"keepers.a": "UPDATE_REPLACE"}
    assert it.diff(state, length=9, keepers={"a": "1"}) == {"length": "UPDATE_REPLACE"}


def test_a_default_that_is_spelt_out_is_no_change() -> None:
    """TF: the plan compares with the state, in which defaults stand."""
    it = resource("RandomString")
    _, state = it.create(length=8)
    assert it.diff(state, length=8, special=True, minUpper=0) == {}


def test_bytes_show_their_value_as_id() -> None:
    """TF resource_bytes.go: the id is the base64 form (why DESIGN takes RandomPassword for secrets)."""
    identity, outputs = resource("RandomBytes").create(length=16)
    assert identity == outputs["base64"]
    assert base64.b64decode(identity).hex() == outputs["hex"]


def test_an_id_has_the_prefix_in_all_notations_but_not_as_id() -> None:
    """SDK: `prefix`, "will not be part of the id"; TF resource_id.go."""
    identity, outputs = resource("RandomId").create(byteLength=8, prefix="p-")
    raw = bytes.fromhex(outputs["hex"].removeprefix("p-"))
    assert outputs["b64Url"] == f"p-{identity}"
    assert outputs["dec"] == f"p-{int.from_bytes(raw, 'big')}"
    assert base64.b64decode(outputs["b64Std"].removeprefix("p-")) == raw


def test_an_integer_lies_between_its_bounds_both_included() -> None:
    """SDK: "minimum / maximum inclusive value of the range"."""
    it = resource("RandomInteger")
    assert {it.create(min=1, max=3)[1]["result"] for _ in range(60)} == {1, 2, 3}
    _, failures = it.check(min=2, max=1)
    assert "max" in failures


def test_a_preview_knows_the_inputs_and_not_the_result() -> None:
    """Every Pulumi provider: an output that is not made yet is unknown."""
    identity, outputs = resource("RandomPassword").create(length=9, preview=True)
    assert (identity, outputs["length"], outputs["result"]) == ("", 9, UNKNOWN)


def test_unknown_inputs_and_types_are_refused() -> None:
    """DESIGN: a stand-in refuses what it does not know."""
    _, failures = resource("RandomString").check(length=8, lenght=9)
    assert "did you mean 'length'" in failures["lenght"]
    with pytest.raises(CallFailedError, match="no resource type random:index/randomPet:RandomPet"):
        resource("RandomPet").create()
