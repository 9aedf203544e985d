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
        self.made: list[tuple[Properties, Properties]] = []
        """The outputs and the inputs of each creation and update: what the engine would keep together in its state."""
        self.urn = f"urn:pulumi:dev::test::{token}::{name}"
        self.context: Any = _Context()

    def configure(self, **settings: Any) -> dict[str, str]:
        """Check the provider's own settings, and take them if they are right; the reason of each failure."""
        checked = self.provider.CheckConfig(provider_pb2.CheckRequest(news=encode(settings)), self.context)
        if not checked.failures:
            self.provider.Configure(provider_pb2.ConfigureRequest(args=checked.inputs), self.context)
        return {failure.property: failure.reason for failure in checked.failures}

    def inputs_of(self, state: Properties | None) -> Properties:
        """The inputs that this state was made of; empty for none of ours."""
        return next((inputs for outputs, inputs in self.made if outputs == state), {})

    def check(self, old: Properties | None = None, **inputs: Any) -> tuple[Properties, dict[str, str]]:
        """The checked inputs, and the reason of each failure by property; `old` is the state that there is."""
        olds = encode(self.inputs_of(old))
        answer = self.provider.Check(
            provider_pb2.CheckRequest(urn=self.urn, news=encode(inputs), olds=olds), self.context
        )
        return decode(answer.inputs), {failure.property: failure.reason for failure in answer.failures}

    def checked(self, old: Properties | None = None, **inputs: Any) -> Properties:
        """The checked inputs, which must be right."""
        good, failures = self.check(old, **inputs)
        assert failures == {}
        return good

    def create(self, *, preview: bool = False, **inputs: Any) -> tuple[str, Properties]:
        """Check and create; the id and all outputs."""
        good = self.checked(**inputs)
        request = provider_pb2.CreateRequest(urn=self.urn, properties=encode(good), preview=preview)
        answer = self.provider.Create(request, self.context)
        outputs = decode(answer.properties)
        self.made.append((outputs, good))
        return answer.id, outputs

    def diff(self, state: Properties, **inputs: Any) -> dict[str, str]:
        """The kind of each difference by path; empty when there is none."""
        good = self.checked(state, **inputs)
        request = provider_pb2.DiffRequest(urn=self.urn, olds=encode(state), news=encode(good))
        if self.inputs_of(state):
            request.old_inputs.CopyFrom(encode(self.inputs_of(state)))
        answer = self.provider.Diff(request, self.context)
        kinds = provider_pb2.PropertyDiff.Kind
        return {path: kinds.Name(diff.kind) for path, diff in answer.detailedDiff.items()}

    def update(self, state: Properties, *, preview: bool = False, id: str = "", **inputs: Any) -> Properties:  # noqa: A002
        """Check and update; all outputs."""
        good = self.checked(state, **inputs)
        request = provider_pb2.UpdateRequest(
            urn=self.urn, id=id, olds=encode(state), news=encode(good), preview=preview
        )
        outputs = decode(self.provider.Update(request, self.context).properties)
        self.made.append((outputs, good))
        return outputs

    def read(self, identity: str, state: Properties) -> Properties | None:
        """Refresh: all outputs, or None when it is gone."""
        inputs = encode(self.inputs_of(state))
        request = provider_pb2.ReadRequest(urn=self.urn, id=identity, properties=encode(state), inputs=inputs)
        answer = self.provider.Read(request, self.context)
        return decode(answer.properties) if answer.id else None

    def delete(self, state: Properties, id: str = "") -> None:  # noqa: A002
        """Delete."""
        self.provider.Delete(provider_pb2.DeleteRequest(urn=self.urn, id=id, properties=encode(state)), self.context)

    def invoke(self, token: str, **inputs: Any) -> Properties:
        """Call a function."""
        answer = self.provider.Invoke(provider_pb2.InvokeRequest(tok=token, args=encode(inputs)), self.context)
        if answer.failures:
            raise CallFailedError("; ".join(f"{item.property}: {item.reason}" for item in answer.failures))
        return decode(getattr(answer, "return"))
