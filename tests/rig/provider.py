"""What all stand-in providers share: the gRPC service, dispatch by type, checks, differences, previews."""

# ruff: noqa: N802 - the methods have the names of the gRPC service

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, NoReturn

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
)

from . import shapes, values
from .values import UNKNOWN, Properties

MESSAGE_LIMIT = ("grpc.max_receive_message_length", 400 * 1024 * 1024)
"""The limit that the engine and the SDK use on their sides."""


class RefusedError(Exception):
    """The operation failed; the message is shown to the user as the plug-in's."""


Log = Callable[[str], None]
"""Shows one line as the progress of a resource."""


@dataclass(frozen=True)
class Call:
    """What an operation is told besides its properties."""

    name: str
    log: Log
    cancelled: threading.Event
    """Set when the engine wants running operations to end."""


class Resource:
    """One resource type; a subclass says what it takes, what comes out, and what its operations do."""

    inputs: ClassVar[shapes.Shape]
    outputs: tuple[str, ...]
    """The outputs that no input has the name of; unknown in a preview of a creation."""
    replacing: tuple[str, ...] | None = None
    """The inputs whose change replaces the resource; None: every input does, there is no update."""

    def check(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        """More (property, reason) failures than the shape of the inputs shows."""
        yield from ()

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        """Make it; answer its id and all outputs, inputs included."""
        raise NotImplementedError

    def update(self, state: Properties, inputs: Properties, call: Call) -> Properties:
        """Change it; answer all outputs."""
        raise NotImplementedError

    def delete(self, state: Properties, call: Call) -> None:
        """Remove it. Without an implementation nothing is done, as most values have nothing outside the state."""


class Function:
    """One function (a data source)."""

    inputs: ClassVar[shapes.Shape]

    def invoke(self, inputs: Properties, call: Call) -> Properties:
        """Answer all outputs."""
        raise NotImplementedError


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """A provider made of resources and functions by their type tokens."""

    def __init__(
        self,
        name: str,
        version: str,
        resources: Mapping[str, Resource],
        functions: Mapping[str, Function] | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.resources = resources
        self.functions = functions or {}
        self.engine: engine_pb2_grpc.EngineStub | None = None
        self.cancelled = threading.Event()

    # -- lifecycle ---------------------------------------------------------------------------------------------

    def attach(self, address: str) -> None:
        """Send log lines to the engine at this address from now on."""
        self.engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        if self.engine is None:
            self.attach(request.engine_address)
        # Secrets are not accepted: see the module `values`.
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self.attach(request.address)
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self.version)

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        known = {"version", "pluginDownloadURL"}
        wrong = [
            provider_pb2.CheckFailure(property=key, reason=f"the plug-in {self.name} has no settings")
            for key in request.news.fields
            if key not in known and not key.startswith("__")
        ]
        return provider_pb2.CheckResponse(inputs=request.news, failures=wrong)

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self.cancelled.set()
        return empty_pb2.Empty()

    # -- resources ---------------------------------------------------------------------------------------------

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        resource = self._resource(request.urn, context)
        inputs = shapes.with_defaults(values.decode(request.news), resource.inputs)
        wrong = list(shapes.failures(inputs, resource.inputs)) or list(resource.check(inputs))
        return provider_pb2.CheckResponse(
            inputs=values.encode(inputs),
            failures=[provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in wrong],
        )

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        resource = self._resource(request.urn, context)
        state = values.decode(request.olds)
        old = {name: state[name] for name in resource.inputs if name in state}
        new = values.decode(request.news)
        for ignored in request.ignoreChanges:  # nested paths the engine has taken care of already
            if ignored in old:
                new[ignored] = old[ignored]
        detailed = {}
        for path, kind in values.differences(old, new):
            replaces = resource.replacing is None or path.split("[")[0].split(".")[0] in resource.replacing
            label = f"{kind}_replace" if replaces else kind
            detailed[path] = provider_pb2.PropertyDiff(kind=provider_pb2.PropertyDiff.Kind.Value(label.upper()))
        outcome = provider_pb2.DiffResponse
        return provider_pb2.DiffResponse(
            changes=outcome.DIFF_SOME if detailed else outcome.DIFF_NONE,
            replaces=[path for path, diff in detailed.items() if diff.kind % 2],  # the odd kinds replace
            diffs=sorted({path.split("[")[0].split(".")[0] for path in detailed}),
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        resource = self._resource(request.urn, context)
        inputs = values.decode(request.properties)
        if request.preview:
            unknown = dict.fromkeys(resource.outputs, UNKNOWN)
            return provider_pb2.CreateResponse(id="", properties=values.encode({**inputs, **unknown}))
        with _failing_call(context):
            identity, outputs = resource.create(inputs, self._call(request.urn))
        return provider_pb2.CreateResponse(id=identity, properties=values.encode(outputs))

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        resource = self._resource(request.urn, context)
        state, inputs = values.decode(request.olds), values.decode(request.news)
        if request.preview:
            # Any changed input may change any output.
            outputs = dict.fromkeys([*inputs, *state, *resource.outputs], UNKNOWN)
            return provider_pb2.UpdateResponse(properties=values.encode(outputs))
        with _failing_call(context):
            outputs = resource.update(state, inputs, self._call(request.urn))
        return provider_pb2.UpdateResponse(properties=values.encode(outputs))

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        resource = self._resource(request.urn, context)
        with _failing_call(context):
            resource.delete(values.decode(request.properties), self._call(request.urn))
        return empty_pb2.Empty()

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        self._resource(request.urn, context)
        if not request.properties.fields:
            _fail(context, f"this stand-in for {self.name} cannot import what exists already")
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Invoke(self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext) -> provider_pb2.InvokeResponse:
        function = self.functions.get(request.tok)
        if function is None:
            self._unknown(context, "function", request.tok, self.functions)
        inputs = shapes.with_defaults(values.decode(request.args), function.inputs)
        wrong = list(shapes.failures(inputs, function.inputs))
        if wrong:
            return provider_pb2.InvokeResponse(
                failures=[provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in wrong]
            )
        with _failing_call(context):
            outputs = function.invoke(inputs, self._call(""))
        return provider_pb2.InvokeResponse(**{"return": values.encode(outputs)})

    # -- helpers -----------------------------------------------------------------------------------------------

    def _resource(self, urn: str, context: grpc.ServicerContext) -> Resource:
        token = urn.split("::")[2].split("$")[-1]
        resource = self.resources.get(token)
        if resource is None:
            self._unknown(context, "resource type", token, self.resources)
        return resource

    def _unknown(self, context: grpc.ServicerContext, what: str, token: str, known: Mapping[str, object]) -> NoReturn:
        _fail(
            context,
            f"this stand-in for {self.name} has no {what} {token}; it has {', '.join(sorted(known)) or 'none'}. "
            f"The official plug-in pulumi-resource-{self.name} may have it.",
        )

    def _call(self, urn: str) -> Call:
        def log(line: str) -> None:
            if self.engine is None:
                return
            with contextlib.suppress(grpc.RpcError):  # an engine that has gone does not stop what runs
                self.engine.Log(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=line, urn=urn, ephemeral=True))

        return Call(name=urn.split("::")[-1], log=log, cancelled=self.cancelled)


def _fail(context: grpc.ServicerContext, message: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("abort raises")


@contextlib.contextmanager
def _failing_call(context: grpc.ServicerContext) -> Iterator[None]:
    """Turn what an operation raises into the answer of the call."""
    try:
        yield
    except RefusedError as error:
        _fail(context, str(error))


def watch_parent() -> None:
    """End this process when the process that started it is gone, as a killed CLI tells nobody."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def serve(servicer: object, register: Callable[[object, grpc.Server], None]) -> NoReturn:
    """Serve until killed; the first line on stdout is the port, which the engine waits for."""
    # The engine ends a plug-in by SIGINT and waits for 5 seconds; Python's own handler is sometimes missed.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    server = grpc.server(ThreadPoolExecutor(max_workers=256), options=[MESSAGE_LIMIT])
    register(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    watch_parent()
    print(port, flush=True)
    server.wait_for_termination()
    raise SystemExit(0)


def serve_provider(provider: Provider, address: str) -> NoReturn:
    """Serve a provider that the engine at this address has started."""
    provider.attach(address)
    serve(provider, provider_pb2_grpc.add_ResourceProviderServicer_to_server)
