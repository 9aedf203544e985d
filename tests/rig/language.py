"""A stand-in for pulumi-language-python: runs Python programs and component packages for the engine."""

# ruff: noqa: N802 - the methods have the names of the gRPC service

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from . import provider
from .environments import Environment
from .provider import RefusedError

PROGRAM = Path(__file__).with_name("program.py")
MESSAGE_SHOWN = 32


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """One host serves one program; the engine starts as many as it needs."""

    def __init__(self, engine: str, version: str) -> None:
        self.engine = engine
        self.version = version
        self.children: set[subprocess.Popen[bytes]] = set()

    def Handshake(
        self, request: language_pb2.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> language_pb2.LanguageHandshakeResponse:
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self.version)

    def About(self, request: language_pb2.AboutRequest, context: grpc.ServicerContext) -> language_pb2.AboutResponse:
        with _answering(context):
            environment = _environment(request.info)
            return language_pb2.AboutResponse(executable=str(environment.python()), version=environment.version())

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        with _answering(context):
            return language_pb2.GetRequiredPackagesResponse(
                packages=[
                    plugin_pb2.PackageDependency(
                        name=name, kind="resource", version=f"v{version}" if version else "", server=server
                    )
                    for name, version, server in _environment(request.info).plugins()
                ]
            )

    def GetProgramDependencies(
        self, request: language_pb2.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetProgramDependenciesResponse:
        with _answering(context):
            return language_pb2.GetProgramDependenciesResponse(
                dependencies=[
                    language_pb2.DependencyInfo(name=name, version=version)
                    for name, version in _environment(request.info).packages()
                ]
            )

    def RuntimeOptionsPrompts(
        self, request: language_pb2.RuntimeOptionsRequest, context: grpc.ServicerContext
    ) -> language_pb2.RuntimeOptionsResponse:
        return language_pb2.RuntimeOptionsResponse()

    def Template(self, request: language_pb2.TemplateRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        with _answering(context):
            environment = _environment(request.info)
            for command in environment.install_commands():
                with subprocess.Popen(
                    command, cwd=environment.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
                ) as process:
                    for line in process.stdout or ():
                        yield language_pb2.InstallDependenciesResponse(stdout=line)
                if process.returncode:
                    raise RefusedError(f"`{' '.join(command)}` failed with exit status {process.returncode}")

    def Run(self, request: language_pb2.RunRequest, context: grpc.ServicerContext) -> language_pb2.RunResponse:
        with _answering(context):
            return self._run(request)

    def RunPlugin(
        self, request: language_pb2.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        """Run a component package, whose standard output (the port first) is the engine's to read."""
        with _answering(context):
            python = _environment(request.info).python()
        process = subprocess.Popen(
            [python, "-u", request.info.program_directory, *request.args],
            cwd=request.pwd or None,
            env={**os.environ, **dict(entry.split("=", 1) for entry in request.env)},
            stdout=subprocess.PIPE,
        )
        self.children.add(process)
        context.add_callback(process.kill)
        for line in process.stdout or ():
            yield language_pb2.RunPluginResponse(stdout=line)
        self.children.discard(process)
        yield language_pb2.RunPluginResponse(exitcode=process.wait())

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """The engine is done with this host, or wants it to end early."""
        for child in list(self.children):
            child.kill()
        # After the answer is out; by _exit, as the threads of a call that still runs would hold an ordinary exit up.
        threading.Timer(0.05, os._exit, [0]).start()
        return empty_pb2.Empty()

    def _run(self, request: Any) -> language_pb2.RunResponse:
        program = Path(request.info.program_directory, request.info.entry_point)
        if program.is_dir() and not (program / "__main__.py").exists():
            return language_pb2.RunResponse(error=f"no Python program: {program / '__main__.py'} does not exist")
        settings = {
            "program": os.path.normpath(program),
            "arguments": list(request.args),
            "directory": request.pwd or str(program),
            "runtime": {
                "monitor": request.monitor_address,
                "engine": self.engine,
                "project": request.project,
                "stack": request.stack,
                "parallel": request.parallel,
                "dry_run": request.dryRun,
                "organization": request.organization,
                "root_directory": request.info.root_directory,
            },
        }
        environment = {
            **os.environ,
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        sys.stdout.flush()
        process = subprocess.Popen(
            [_environment(request.info).python(), "-u", PROGRAM, json.dumps(settings)],
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        self.children.add(process)
        status = process.wait()
        self.children.discard(process)
        if status == MESSAGE_SHOWN:
            return language_pb2.RunResponse(bail=True)
        if status < 0:
            return language_pb2.RunResponse(error=f"Program was ended by {signal.Signals(-status).name}")
        return language_pb2.RunResponse(error=f"Program exited with non-zero exit code: {status}" if status else "")


def _environment(info: Any) -> Environment:
    return Environment.of(info.root_directory, json_format.MessageToDict(info.options))


@contextlib.contextmanager
def _answering(context: grpc.ServicerContext) -> Iterator[None]:
    try:
        yield
    except RefusedError as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))


def serve(address: str, version: str) -> NoReturn:
    """What the launcher calls."""
    provider.serve(LanguageHost(address, version), language_pb2_grpc.add_LanguageRuntimeServicer_to_server)
