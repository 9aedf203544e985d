"""Planted secrets are nowhere in clear: each is named, and looked for in every place it might have slipped to."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.checkout import Checkout

PLANTED = "planted-variable-5a1c"


def secrets_of(site: Checkout) -> dict[str, str]:
    """Every secret of the stack by what it is; of keys, a line from their middle."""
    exported = json.loads(site.pulumi("stack", "export", "--show-secrets", "--stack", "dev").stdout)
    found = {"environment variable": PLANTED}
    for resource in exported["deployment"]["resources"]:
        name = resource["urn"].rsplit("::", 1)[1]
        outputs = resource.get("outputs", {})
        for key in ("privateKeyOpenssh", "privateKeyPem", "result"):
            value = outputs.get(key)
            text = json.loads(value["plaintext"]) if isinstance(value, dict) else value
            if text:
                lines = [line for line in text.splitlines() if line and "PRIVATE KEY" not in line]
                # the first line of an OpenSSH key is the same for all of a kind
                found[f"{name} {key}"] = lines[len(lines) // 2]
    assert all(len(secret) >= 12 for secret in found.values())
    return found


@contextmanager
def watching_command_lines(site: Checkout) -> Iterator[set[str]]:
    """All command lines of this machine and of the server seen while the block runs; the server's are seen here too."""
    seen: set[str] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def places_with(secret: str, folder: Path) -> list[str]:
    command = ["grep", "-rlaF", "--", secret, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout.split()


@pytest.fixture
def released(site: Checkout) -> tuple[Checkout, dict[str, str], str, set[str]]:
    """A release with a planted variable: the site, all secrets, all that was printed, all command lines."""
    site.set_secret("PLANTED", PLANTED)
    with watching_command_lines(site) as seen:
        printed = site.up()
        site.mark("debugged")
        done = site.pulumi("up", "--yes", "--stack", "dev", "--debug", "--diff")
        printed += done.stdout + done.stderr
    return site, secrets_of(site), printed, seen


def test_planted_secrets_are_nowhere_in_clear(released: tuple[Checkout, dict[str, str], str, set[str]]) -> None:
    site, secrets, printed, seen = released
    assert len(secrets) >= 8
    assert any("slipway" in line for line in seen), "no command line was seen"
    leaks = []
    for what, secret in secrets.items():
        # not looked at: the files that are there to hold them (the app's, sshd's, cloud-init's copy of the boot key)
        outside = [path for path in places_with(secret, site.folder / ".slipway") if "/certificates/" not in path]
        leaks += [(what, path) for path in outside]
        if secret in printed:
            leaks.append((what, "what pulumi printed"))
        leaks += [(what, line[:80]) for line in seen if secret in line]
        for folder in ("/var/log", "/home", "/tmp", "/run/log"):
            found = site.machine.root_run(["grep", "-rlaF", "--", secret, folder], timeout=60)
            leaks += [(what, path) for path in found.stdout.split()]
        journal = site.machine.root_run(["grep", "-cF", "--", secret, "/srv/guestbook/journal.jsonl"])
        if journal.stdout.strip() not in ("0", ""):
            leaks.append((what, "journal.jsonl"))
        systemd = site.machine.root_shell("journalctl --no-pager -q -o cat || true", timeout=60)
        if secret in systemd:
            leaks.append((what, "journalctl"))
    assert sorted(set(leaks)) == []


def test_user_data_holds_no_secret_but_the_boot_key(released: tuple[Checkout, dict[str, str], str, set[str]]) -> None:
    site, secrets, _, _ = released
    text = site.machine.root_shell("cat /var/lib/cloud/instance/user-data.txt /var/lib/slipway/bootstrap.sh")
    assert [what for what, secret in secrets.items() if secret in text] == ["server-keys-boot-1 privateKeyPem"]


def test_the_app_can_read_its_variables_and_no_other_user_can(site: Checkout) -> None:
    files = site.machine.root_shell("stat -c '%a %U:%G' /srv/guestbook/envs/*").split("\n")
    assert {line for line in files if line} == {"640 root:guestbook"}


def test_the_private_key_of_the_certificate_stays_on_the_server_and_is_roots(site: Checkout) -> None:
    assert site.machine.root_shell("stat -c '%a %U' /etc/slipway/tls/guestbook/key.pem").strip() == "600 root"
