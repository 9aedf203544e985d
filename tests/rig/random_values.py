"""A stand-in for pulumi-random: passwords, strings, ids, integers and UUIDs. Nothing exists outside the state."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Iterator
from typing import ClassVar, NoReturn

from .provider import Call, Provider, Resource, serve_provider
from .shapes import Input, Shape
from .values import UNKNOWN, Properties

DIGITS = "0123456789"
LOWER = "abcdefghijklmnopqrstuvwxyz"
SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
_KINDS = (("lower", LOWER), ("upper", LOWER.upper()), ("numeric", DIGITS), ("special", SPECIAL))


class RandomString(Resource):
    """Characters of up to four kinds; the result is public."""

    inputs: ClassVar[Shape] = {
        "length": Input("integer", required=True),
        "keepers": Input("map"),
        "overrideSpecial": Input("string"),
        "number": Input("boolean", refused="deprecated in favour of `numeric`"),
        **{name: Input("boolean", default=True) for name, _ in _KINDS},
        **{f"min{name.capitalize()}": Input("integer", default=0) for name, _ in _KINDS},
    }
    outputs: tuple[str, ...] = ("result",)

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        if UNKNOWN in inputs.values():
            return
        least = [inputs[f"min{name.capitalize()}"] for name, _ in _KINDS]
        if inputs["length"] < max(1, sum(least)):
            yield "length", f"must be at least 1 and the sum of all minimums ({sum(least)}), not {inputs['length']}"
        if any(number < 0 for number in least):
            yield "length", "a minimum must not be negative"
        if not any(inputs[name] for name, _ in _KINDS):
            yield "special", "at least one of lower, upper, numeric and special must be true"

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        result = _characters(inputs)
        return result, {**inputs, "result": result}


class RandomPassword(RandomString):
    """The same as a secret: its id is `none`, not the value."""

    outputs = ("result", "bcryptHash")

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        import bcrypt

        result = _characters(inputs)
        # Only the first 72 bytes count, by the definition of bcrypt.
        digest = bcrypt.hashpw(result.encode()[:72], bcrypt.gensalt(10)).decode()
        return "none", {**inputs, "result": result, "bcryptHash": digest}


def _characters(inputs: Properties) -> str:
    alphabets = dict(_KINDS)
    alphabets["special"] = inputs.get("overrideSpecial") or SPECIAL
    allowed = "".join(alphabets[name] for name, _ in _KINDS if inputs[name])
    chosen = [secrets.choice(alphabets[name]) for name, _ in _KINDS for _ in range(inputs[f"min{name.capitalize()}"])]
    chosen += [secrets.choice(allowed) for _ in range(inputs["length"] - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)


class RandomBytes(Resource):
    """Raw bytes. Their base64 form is also the id, which the state and `--show-ids` show in clear."""

    inputs: ClassVar[Shape] = {"length": Input("integer", required=True), "keepers": Input("map")}
    outputs = ("base64", "hex")

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        if inputs["length"] != UNKNOWN and inputs["length"] < 1:
            yield "length", f"must be at least 1, not {inputs['length']}"

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        raw = secrets.token_bytes(inputs["length"])
        text = base64.b64encode(raw).decode()
        return text, {**inputs, "base64": text, "hex": raw.hex()}


class RandomId(Resource):
    """A public identifier in five notations, each but the id with the prefix."""

    inputs: ClassVar[Shape] = {
        "byteLength": Input("integer", required=True),
        "keepers": Input("map"),
        "prefix": Input("string"),
    }
    outputs = ("b64Std", "b64Url", "dec", "hex")

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        if inputs["byteLength"] != UNKNOWN and inputs["byteLength"] < 1:
            yield "byteLength", f"must be at least 1, not {inputs['byteLength']}"

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        raw = secrets.token_bytes(inputs["byteLength"])
        prefix = inputs.get("prefix", "")
        identity = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        return identity, {
            **inputs,
            "b64Std": prefix + base64.b64encode(raw).decode(),
            "b64Url": prefix + identity,
            "dec": prefix + str(int.from_bytes(raw, "big")),
            "hex": prefix + raw.hex(),
        }


class RandomInteger(Resource):
    """An integer between two bounds, both included."""

    inputs: ClassVar[Shape] = {
        "min": Input("integer", required=True),
        "max": Input("integer", required=True),
        "keepers": Input("map"),
        "seed": Input("string", refused="its generator is the Go library's"),
    }
    outputs = ("result",)

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        if UNKNOWN not in (inputs["min"], inputs["max"]) and inputs["max"] < inputs["min"]:
            yield "max", f"must not be less than min ({inputs['min']}), is {inputs['max']}"

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        result = inputs["min"] + secrets.randbelow(inputs["max"] - inputs["min"] + 1)
        return str(result), {**inputs, "result": result}


class RandomUuid(Resource):
    """A random UUID."""

    inputs: ClassVar[Shape] = {"keepers": Input("map")}
    outputs = ("result",)

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        result = str(uuid.uuid4())
        return result, {**inputs, "result": result}


def provider(version: str) -> Provider:
    """The provider under the SDK's type tokens."""
    types = (RandomString, RandomPassword, RandomBytes, RandomId, RandomInteger, RandomUuid)
    tokens = {f"random:index/{t.__name__[0].lower()}{t.__name__[1:]}:{t.__name__}": t() for t in types}
    return Provider("random", version, tokens)


def serve(address: str, version: str) -> NoReturn:
    """What the launcher calls."""
    serve_provider(provider(version), address)
