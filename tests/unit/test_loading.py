"""What each of our programs loads: Pulumi starts them anew in each preview and up, so all of it costs each time."""

from __future__ import annotations

import subprocess
import sys

import pytest

PULUMI = ("pulumi", "grpc")
SSH = ("paramiko", "cryptography")


@pytest.mark.parametrize(
    ("module", "none_of"),
    [
        ("pulumi_slipway.programs", (*SSH, "pulumi_aws", "pulumi_digitalocean", "pulumi_linode")),
        ("pulumi_slipway.observe", (*PULUMI, *SSH)),  # unless there is a server to be asked
        ("pulumi_slipway.push", (*PULUMI, "pathspec", "jinja2", "pydantic", "invoke")),
        ("pulumi_slipway.ssh", ("invoke",)),
        ("pulumi_slipway.early", (*SSH, "pydantic", "pulumi_slipway.programs")),
    ],
)
def test_nothing_is_loaded_that_is_not_used(module: str, none_of: tuple[str, ...]) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(none_of) & set(done.stdout.split()) == set()


def test_what_paramiko_goes_without_is_there_for_others() -> None:
    pytest.importorskip("invoke")
    program = "import pulumi_slipway.ssh, invoke; print(invoke.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "invoke"
