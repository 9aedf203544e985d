"""What all AWS resources of the stand-in share: region and tags, refusals, and what the account keeps of them.

`provider/region.go` of pulumi/pulumi-aws says how a resource gets its region. A thing in the account is
`{cloud, type, region, name, attributes}` and what it owns of the substrate; `attributes` are outputs without secrets.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from ...bridged import BridgedFunction, BridgedResource
from ...resources import Call, RefusedError
from ...values import UNKNOWN, Properties, Value
from ..account import Account, CloudError
from . import catalog

ACCOUNT_ID = "123456789012"
"""The number that Amazon's documentation gives to accounts of examples."""


def refusal(doing: str, code: str, text: str) -> RefusedError:
    """What the plug-in shows when the service refuses a request."""
    return RefusedError(f"{doing}: api error {code}: {text}")


def new_id(prefix: str) -> str:
    """An id as the services make them: the kind and 17 hexadecimal digits."""
    return f"{prefix}-0{secrets.token_hex(8)}"


def arn(service: str, region: str, resource: str) -> str:
    """The Amazon resource name of something in this account."""
    return f"arn:aws:{service}:{region}:{ACCOUNT_ID}:{resource}"


@contextmanager
def opened() -> Iterator[Account]:
    """The cloud account; what its substrate cannot do is shown as a refusal."""
    try:
        yield Account.open()
    except CloudError as error:
        raise RefusedError(str(error)) from error


class AwsResource(BridgedResource):
    """One resource type; a subclass has the operations `make`, `found`, `change` and `unmake`."""

    named = False
    """Whether the id is a name, which is unique in its region only, and not one of the service's making."""
    secret: ClassVar[tuple[str, ...]] = ()
    """Inputs that the account does not keep."""

    def offered(self, inputs: Properties, settings: Properties) -> Properties:
        return {"region": settings["region"]} if settings.get("region") else {}

    def replacing_between(self, old: Properties, new: Properties) -> tuple[str, ...] | None:
        return None if self.replacing is None else (*self.replacing, "region")

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        region = inputs.get("region", UNKNOWN)
        if region != UNKNOWN and region not in catalog.regions():
            yield "region", f"Invalid Region Value: {region!r} is no AWS Region"

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        with opened() as account:
            return self.make(account, inputs, call)

    def read(self, identity: str, state: Properties, call: Call) -> Properties | None:
        region = state.get("region") or call.settings.get("region", "")
        with opened() as account:
            thing = account.thing(self.key(identity, region))
            if thing is None or thing["type"] != self.token:
                return None
            found = self.found(account, identity, thing)
        return None if found is None else {**_kept(self.inputs, state, found), **found}

    def update(self, state: Properties, inputs: Properties, call: Call) -> Properties:
        with opened() as account:
            thing = account.thing(self.key(call.id, inputs["region"]))
            if thing is None:
                raise RefusedError(f"{self.token} {call.id} does not exist (any more); `pulumi refresh` shows it")
            return self.change(account, thing, state, inputs, call)

    def delete(self, state: Properties, call: Call) -> None:
        with opened() as account:
            thing = account.thing(self.key(call.id, state["region"]))
            if thing is not None:
                self.unmake(account, thing, state, call)

    # -- for subclasses ----------------------------------------------------------------------------------------

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        """Make it; answer its id and all outputs."""
        raise NotImplementedError

    def found(self, account: Account, identity: str, thing: Mapping[str, Any]) -> Properties | None:
        """The outputs as they are now, without secrets; None when it is gone after all."""
        return dict(thing["attributes"])

    def change(
        self, account: Account, thing: dict[str, Any], state: Properties, inputs: Properties, call: Call
    ) -> Properties:
        """Change it; answer all outputs. Without an implementation only tags and what needs no doing can change."""
        attributes = {**thing["attributes"], **self.public(inputs), "tagsAll": all_tags(inputs, call)}
        if "tags" not in inputs:
            attributes.pop("tags", None)
        account.put(self.key(call.id, inputs["region"]), {**thing, "attributes": attributes})
        return {**inputs, **attributes}

    def unmake(self, account: Account, thing: Mapping[str, Any], state: Properties, call: Call) -> None:
        """Remove it."""
        account.drop(self.key(call.id, thing["region"]))

    def public(self, inputs: Properties) -> Properties:
        """The inputs without secrets."""
        return {name: value for name, value in inputs.items() if name not in self.secret}

    def key(self, identity: str, region: str) -> str:
        """The id of the thing in the account."""
        return f"{self.token.split(':')[1]}:{region}:{identity}" if self.named else identity

    def keep(self, account: Account, identity: str, region: str, attributes: Properties, **owned: Any) -> Properties:
        """Write the thing down; answer its attributes."""
        account.put(
            self.key(identity, region),
            {"cloud": "aws", "type": self.token, "region": region, "name": identity, "attributes": attributes, **owned},
        )
        return attributes


class AwsFunction(BridgedFunction):
    """One function; its region is the provider's unless it is told another."""

    def region(self, inputs: Properties, call: Call) -> str:
        """The region that the question is about."""
        region = str(inputs.get("region") or call.settings.get("region", ""))
        if region not in catalog.regions():
            raise RefusedError(f"Invalid Region Value: {region!r} is no AWS Region")
        return region


def all_tags(inputs: Properties, call: Call) -> dict[str, str]:
    """The resource's tags over the provider's default ones."""
    default = (call.settings.get("defaultTags") or {}).get("tags") or {}
    return {**default, **(inputs.get("tags") or {})}


def of_type(account: Account, kind: str, region: str = "") -> dict[str, dict[str, Any]]:
    """All things of a type (`ec2/instance:Instance`), of one region."""
    things = account.things(f"aws:{kind}")
    return {key: thing for key, thing in things.items() if not region or thing["region"] == region}


def known(value: Value) -> bool:
    """Whether a value is there and not unknown."""
    return value is not None and value != UNKNOWN


def _kept(inputs: Mapping[str, Any], state: Properties, found: Properties) -> Properties:
    """Of the old state what no reading tells: secrets, and inputs that only the provider itself minds."""
    return {name: value for name, value in state.items() if name in inputs and name not in found and name != "tags"}
