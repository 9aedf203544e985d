"""Call a stand-in provider in this process, without engine and network: plain values in and out."""

from __future__ import annotations

from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2

from .provider import Provider
from .values import Properties, decode, encode


class CallFailedError(Exception):
    """The provider ended the call with an error."""


class _Context:
    def abort(self, code: grpc.StatusCode, message: str) -> None:
        raise CallFailedError(message)


class Direct:
    """One provider, and one resource type of it."""

    def __init__(self, provider: Provider, token: str, name: str = "it") -> None:
        self.provider = provider
        self.urn = f"urn:pulumi:dev::test::{token}::{name}"
        self.context: Any = _Context()

    def check(self, **inputs: Any) -> tuple[Properties, dict[str, str]]:
        """The checked inputs, and the reason of each failure by property."""
        answer = self.provider.Check(provider_pb2.CheckRequest(urn=self.urn, news=encode(inputs)), self.context)
        return decode(answer.inputs), {failure.property: failure.reason for failure in answer.failures}

    def checked(self, **inputs: Any) -> Properties:
        """The checked inputs, which must be right."""
        good, failures = self.check(**inputs)
        assert failures == {}
        return good

    def create(self, *, preview: bool = False, **inputs: Any) -> tuple[str, Properties]:
        """Check and create; the id and all outputs."""
        request = provider_pb2.CreateRequest(urn=self.urn, properties=encode(self.checked(**inputs)), preview=preview)
        answer = self.provider.Create(request, self.context)
        return answer.id, decode(answer.properties)

    def diff(self, state: Properties, **inputs: Any) -> dict[str, str]:
        """The kind of each difference by path; empty when there is none."""
        request = provider_pb2.DiffRequest(urn=self.urn, olds=encode(state), news=encode(self.checked(**inputs)))
        answer = self.provider.Diff(request, self.context)
        kinds = provider_pb2.PropertyDiff.Kind
        return {path: kinds.Name(diff.kind) for path, diff in answer.detailedDiff.items()}

    def update(self, state: Properties, *, preview: bool = False, **inputs: Any) -> Properties:
        """Check and update; all outputs."""
        request = provider_pb2.UpdateRequest(
            urn=self.urn, olds=encode(state), news=encode(self.checked(**inputs)), preview=preview
        )
        return decode(self.provider.Update(request, self.context).properties)

    def delete(self, state: Properties) -> None:
        """Delete."""
        self.provider.Delete(provider_pb2.DeleteRequest(urn=self.urn, properties=encode(state)), self.context)

    def invoke(self, token: str, **inputs: Any) -> Properties:
        """Call a function."""
        answer = self.provider.Invoke(provider_pb2.InvokeRequest(tok=token, args=encode(inputs)), self.context)
        if answer.failures:
            raise CallFailedError("; ".join(f"{item.property}: {item.reason}" for item in answer.failures))
        return decode(getattr(answer, "return"))
