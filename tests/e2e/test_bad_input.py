"""Each mistake gets one message with key, value and remedy, at preview, before any resource is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.checkout import Checkout


def settings(target: str = "local", app: str = "{path: examples/guestbook}", more: str = "") -> str:
    return f"config:\n  slipway:target: {target}\n  slipway:app: {app}\n{more}"


CASES = {
    "unknown setting": (settings(more="  slipway:genration: 2\n"), "slipway:genration", "did you mean 'generation'"),
    "wrong type": (settings(more="  slipway:generation: two\n"), "slipway:generation: 'two'", "integer"),
    "missing folder": (settings(app="{path: nowhere}"), "'nowhere' is not a folder", "give the folder"),
    "no entry point": (settings(app="{path: cloud-init}"), "no entry point found in 'cloud-init'", "set entry"),
    "no host name": (
        settings(app="{path: examples/guestbook, domains: ['https://x.org']}"),
        "'https://x.org'",
        "give one as in",
    ),
    "port out of range": (
        settings(more="  slipway:firewall: [{name: metrics, port: 70000}]\n"),
        "slipway:firewall.port: 70000",
        "one of 1 to 65535",
    ),
    "name of a variable": (settings(more="  slipway:environment: {A-B: x}\n"), "'A-B'", "take letters"),
    "user data": (
        settings(more=f"  slipway:admin_keys: [{', '.join(['ssh-ed25519 ' + 'A' * 900] * 20)}]\n"),
        "over the limit of 16384",
        "shorten admin_keys",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_told_at_preview(site: Checkout, case: str, tmp_path: Path) -> None:
    text, said, remedy = CASES[case]
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(text)
    done = site.pulumi("preview", "--stack", "dev", "--config-file", str(file), check=False)
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert said in printed
    assert remedy in printed
    assert "Traceback" not in printed


def test_an_up_with_a_mistake_touches_nothing(site: Checkout, tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(CASES["unknown setting"][0])
    before = untouched(site)
    done = site.pulumi("up", "--yes", "--skip-preview", "--stack", "dev", "--config-file", str(file), check=False)
    assert done.returncode != 0
    assert CASES["unknown setting"][1] in done.stdout + done.stderr
    assert untouched(site) == before


def untouched(site: Checkout) -> list[object]:
    """All resources but for when the engine last wrote the stack's own entry, and where that is among the plug-ins'."""
    resources = sorted(site.state_resources(), key=lambda one: ":providers:" not in one["type"])
    return [{key: value for key, value in one.items() if key != "modified"} for one in resources]


def test_an_archive_over_the_limit_is_told_with_its_largest_file(site: Checkout, tmp_path: Path) -> None:
    app = tmp_path / "large"
    app.mkdir()
    (app / "app.py").write_text("app = Flask(__name__)\n")
    (app / "video.mp4").write_bytes(bytes(3 * 1024 * 1024))
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(settings(app=f"{{path: '{app}', archive_limit: 2}}"))
    done = site.pulumi("preview", "--stack", "dev", "--config-file", str(file), check=False)
    printed = done.stdout + done.stderr
    assert "slipway:app.path: " in printed
    assert "over the limit of 2 MiB (largest: video.mp4)" in printed
    assert "raise archive_limit" in printed


def test_an_empty_folder_is_told(site: Checkout, empty_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(settings(app=f"{{path: '{empty_folder}'}}"))
    done = site.pulumi("preview", "--stack", "dev", "--config-file", str(file), check=False)
    assert "holds no files to release" in done.stdout + done.stderr
