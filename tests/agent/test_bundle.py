"""The agent as one file: always the same bytes, and nothing in it that a server might lack."""

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
import time
import zipfile
from io import BytesIO

from pulumi_slipway import agent_bundle
from pulumi_slipway.agent_bundle import agent_digest, agent_pyz
from tests.agent.server import local_agent


def test_the_same_source_gives_the_same_file() -> None:
    first = agent_pyz()
    agent_pyz.cache_clear()
    assert agent_pyz() == first
    assert agent_digest() == hashlib.sha256(first).hexdigest()
    assert first.startswith(b"#!/usr/bin/python3 -IS\n")


def test_it_is_made_quickly() -> None:
    agent_pyz.cache_clear()
    began = time.process_time()
    agent_pyz()
    assert time.process_time() - began < 0.1


def test_it_imports_nothing_but_pythons_own_modules() -> None:
    with zipfile.ZipFile(BytesIO(agent_pyz())) as archive:
        names = [name for name in archive.namelist() if name.endswith(".py")]
        imported = {module for name in names for module in _imported(archive.read(name).decode())}
    assert imported <= set(sys.stdlib_module_names) | {"slipway_agent"}
    assert len(names) > 30


def test_it_runs_by_itself() -> None:
    with local_agent() as path:
        done = subprocess.run([str(path), "observe"], input="{}", capture_output=True, text=True, check=True)
        assert agent_digest() in done.stdout


def test_the_request_of_an_upgrade_holds_it() -> None:
    document = agent_bundle.agent_bundle_document()
    assert document["sha256"] == agent_digest()
    assert set(document) == {"sha256", "pyz"}


def _imported(source: str) -> set[str]:
    """Top-level names of the modules that a source imports absolutely."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found
