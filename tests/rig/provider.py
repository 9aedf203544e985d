"""What all stand-in providers share: the gRPC service, dispatch by type, checks, differences, previews."""

# ruff: noqa: N802 - the methods have the names of the gRPC service

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

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
from .resources import Call, Configuration, Function, RefusedError, Resource
from .values import UNKNOWN, Properties, Value

_OF_THE_ENGINE = ("version", "pluginDownloadURL")
"""What the engine notes among the settings of a provider."""

MESSAGE_LIMIT = ("grpc.max_receive_message_length", 400 * 1024 * 1024)
"""The limit that the engine and the SDK use on their sides."""


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """A provider made of resources and functions by their type tokens."""

    def __init__(
        self,
        name: str,
        version: str,
        resources: Mapping[str, Resource],
        functions: Mapping[str, Function] | None = None,
        configuration: Configuration | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.resources = resources
        self.functions = functions or {}
        self.configuration = configuration or Configuration()
        self.settings: Properties = {}
        for token, part in [*self.resources.items(), *self.functions.items()]:
            part.registered(name, token)
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
        given = values.decode(request.news)
        own = {key: given[key] for key in given if key in _OF_THE_ENGINE or key.startswith("__")}
        settings = _settings(given, self.configuration.inputs)
        filled = self.configuration.filled(settings)
        wrong = list(shapes.failures(filled, self.configuration.inputs)) or list(self.configuration.check(filled))
        return provider_pb2.CheckResponse(
            inputs=values.encode({**own, **_as_settings(filled)}),
            failures=[provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in wrong],
        )

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        changed = sorted({path.split("[")[0].split(".")[0] for path, _ in values.differences(
            {key: value for key, value in values.decode(request.olds).items() if key not in _OF_THE_ENGINE},
            {key: value for key, value in values.decode(request.news).items() if key not in _OF_THE_ENGINE},
        )})  # fmt: skip
        outcome = provider_pb2.DiffResponse
        return outcome(changes=outcome.DIFF_SOME if changed else outcome.DIFF_NONE, diffs=changed)

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        self.settings = _settings(values.decode(request.args), self.configuration.inputs)
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self.cancelled.set()
        return empty_pb2.Empty()

    # -- resources ---------------------------------------------------------------------------------------------

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        resource = self._resource(request.urn, context)
        inputs = resource.filled(
            values.decode(request.news),
            values.decode(request.olds),
            request.urn.split("::")[-1],
            request.randomSeed,
            self.settings,
        )
        own = {name: value for name, value in inputs.items() if not name.startswith("__")}
        wrong = list(shapes.failures(own, resource.inputs)) or list(resource.check(own))
        return provider_pb2.CheckResponse(
            inputs=values.encode(inputs),
            failures=[provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in wrong],
        )

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        resource = self._resource(request.urn, context)
        state = values.decode(request.old_inputs if request.HasField("old_inputs") else request.olds)
        old = {name: state[name] for name in resource.inputs if name in state}
        noted = values.decode(request.news)
        new = _own(noted)
        for ignored in request.ignoreChanges:  # nested paths the engine has taken care of already
            if ignored in old:
                new[ignored] = old[ignored]
        detailed = {}
        for path, kind, replaces in resource.differences(old, new):
            label = f"{kind}_replace" if replaces else kind
            detailed[path] = provider_pb2.PropertyDiff(kind=provider_pb2.PropertyDiff.Kind.Value(label.upper()))
        outcome = provider_pb2.DiffResponse
        return provider_pb2.DiffResponse(
            changes=outcome.DIFF_SOME if detailed else outcome.DIFF_NONE,
            replaces=[path for path, diff in detailed.items() if diff.kind % 2],  # the odd kinds replace
            diffs=sorted({path.split("[")[0].split(".")[0] for path in detailed}),
            detailedDiff=detailed,
            hasDetailedDiff=True,
            deleteBeforeReplace=resource.deleted_first(old, noted),
        )

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        resource = self._resource(request.urn, context)
        inputs = _own(values.decode(request.properties))
        if request.preview:
            return provider_pb2.CreateResponse(id="", properties=values.encode(resource.planned_creation(inputs)))
        with _failing_call(context):
            identity, outputs = resource.create(inputs, self._call(request.urn))
        return provider_pb2.CreateResponse(id=identity, properties=values.encode(resource.verified(outputs)))

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        resource = self._resource(request.urn, context)
        state, inputs = values.decode(request.olds), _own(values.decode(request.news))
        if request.preview:
            return provider_pb2.UpdateResponse(properties=values.encode(resource.planned_update(state, inputs)))
        with _failing_call(context):
            outputs = resource.update(state, inputs, self._call(request.urn, request.id))
        return provider_pb2.UpdateResponse(properties=values.encode(resource.verified(outputs)))

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        resource = self._resource(request.urn, context)
        with _failing_call(context):
            resource.delete(values.decode(request.properties), self._call(request.urn, request.id))
        return empty_pb2.Empty()

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        resource = self._resource(request.urn, context)
        state, inputs = values.decode(request.properties), values.decode(request.inputs)
        with _failing_call(context):
            outputs = resource.read(request.id, state, self._call(request.urn, request.id))
        if outputs is None:
            return provider_pb2.ReadResponse()  # an empty id: it is gone
        seen = _seen_inputs(resource, inputs, state, outputs)
        return provider_pb2.ReadResponse(
            id=request.id, properties=values.encode(resource.verified(outputs)), inputs=values.encode(seen)
        )

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
        return provider_pb2.InvokeResponse(**{"return": values.encode(function.verified(outputs))})

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

    def _call(self, urn: str, identity: str = "") -> Call:
        def log(line: str) -> None:
            if self.engine is None:
                return
            with contextlib.suppress(grpc.RpcError):  # an engine that has gone does not stop what runs
                self.engine.Log(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=line, urn=urn, ephemeral=True))

        return Call(urn.split("::")[-1], log, self.cancelled, identity, self.settings)


def _own(inputs: Properties) -> Properties:
    """The inputs without what providers note beside them for themselves."""
    return {name: value for name, value in inputs.items() if not name.startswith("__")}


def _settings(wire: Properties, shape: shapes.Shape) -> Properties:
    """The provider's own settings: those that are no text come as JSON, or as text from the stack's configuration."""
    settings = {}
    for name, value in wire.items():
        if name in _OF_THE_ENGINE or name.startswith("__"):
            continue
        if name in shape and shape[name].kind != "string" and isinstance(value, str) and value != UNKNOWN:
            with contextlib.suppress(ValueError):
                value = json.loads(value)
        settings[name] = value
    return settings


def _as_settings(settings: Properties) -> Properties:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}


def _seen_inputs(resource: Resource, inputs: Properties, state: Properties, outputs: Properties) -> Properties:
    """The inputs of a resource that was read: as they were, but for those whose output has changed meanwhile.

    An output need not look like its input (a version in full, an order of its own), so only its change is telling.
    """
    if not inputs:
        return {name: outputs[name] for name in resource.inputs if outputs.get(name) is not None}
    seen = dict(inputs)
    for name in inputs.keys() & resource.inputs.keys():
        if outputs.get(name) != state.get(name):
            seen.pop(name)
            if outputs.get(name) is not None:
                seen[name] = _narrowed(outputs[name], inputs[name])
    return seen


def _narrowed(output: Value, given: Value) -> Value:
    """What a changed output says of the parts that were given, as an object's output has more parts than its input."""
    if isinstance(output, dict) and isinstance(given, dict):
        return {key: output[key] for key in given if key in output}
    return output


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
