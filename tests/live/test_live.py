"""What `make live` checks on a real cloud, on the stack named by SLIPWAY_LIVE_STACK; in this order, and all or none.

Its few visitors go to the server that this very run has made.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.checkout import PROJECT, Visitor

STACK = os.environ["SLIPWAY_LIVE_STACK"]
GUESTBOOK = PROJECT / "examples" / "guestbook"
PORTS = (21, 22, 25, 80, 111, 443, 3306, 5432, 8000, 8080, 9001)

pytestmark = pytest.mark.timeout(3600)


def pulumi(*arguments: str) -> str:
    command = ["pulumi", *arguments, "--stack", STACK, "--non-interactive"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def up() -> None:
    pulumi("up", "--yes", "--skip-preview")


def outputs() -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(pulumi("stack", "output", "--json"))
    return answer


@pytest.fixture(scope="module")
def live() -> Iterator[None]:
    """The stack, which is gone at the end whatever happened in between."""
    try:
        up()
        yield
    finally:
        pulumi("destroy", "--yes", "--skip-preview")


@pytest.fixture
def certificate(live: None, tmp_path: Path) -> Path:
    path = tmp_path / "certificate.pem"
    path.write_text(outputs()["certificate"])
    return path


@pytest.fixture
def marked() -> Iterator[None]:
    """Pages of the guestbook that say `old`; the file is as it was at the end."""
    page = GUESTBOOK / "guestbook" / "templates" / "base.html"
    before = page.read_text()
    page.write_text(before.replace("<body", '<body data-marker="old"', 1))
    try:
        yield
    finally:
        page.write_text(before)


def test_one_up_serves_the_guestbook(certificate: Path) -> None:
    Visitor(outputs()["url"], certificate).sign("Ada", "From a real cloud")


def test_the_next_up_changes_nothing(live: None) -> None:
    summary = json.loads(pulumi("preview", "--json"))["changeSummary"]
    assert {kind: count for kind, count in summary.items() if kind != "same"} == {}


def test_only_ssh_and_the_web_answer_from_outside(live: None) -> None:
    address = outputs()["address"]
    assert [port for port in PORTS if _answers(address, port)] == [22, 80, 443]


def test_a_release_loses_no_request_and_no_row(certificate: Path, marked: None) -> None:
    up()
    page = GUESTBOOK / "guestbook" / "templates" / "base.html"
    page.write_text(page.read_text().replace('data-marker="old"', 'data-marker="new"'))
    visitor = Visitor(outputs()["url"], certificate)
    with looking(visitor) as seen:
        up()
    assert set(seen) == {"old", "new"}, seen
    assert seen == sorted(seen, reverse=True), "an old page came after a new one"
    assert "From a real cloud" in visitor.get().text


@contextmanager
def looking(visitor: Visitor) -> Iterator[list[str]]:
    """Somebody looks at the front page five times a second; what was seen each time is in the list: the page's mark,
    or why there was none."""
    seen: list[str] = []
    enough = threading.Event()

    def look() -> None:
        while not enough.wait(0.2):
            try:
                answer = visitor.get()
                found = re.search(r'data-marker="(\w+)"', answer.text)
                seen.append(found[1] if found and answer.status == 200 else f"status {answer.status}")
            except OSError as error:
                seen.append(str(error))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        enough.set()
        thread.join()


def test_a_new_generation_keeps_the_address_and_the_rows(live: None, tmp_path: Path) -> None:
    before = outputs()
    settings = PROJECT / f"Pulumi.{STACK}.yaml"
    text = settings.read_text()
    generation = int(found[1]) if (found := re.search(r"slipway:generation: (\d+)", text)) else 1
    kept = [line for line in text.splitlines() if not re.search(r"slipway:(generation|carry_data):", line)]
    settings.write_text("\n".join([*kept, f"  slipway:generation: {generation + 1}", "  slipway:carry_data: true", ""]))
    try:
        up()
        after = outputs()
        assert after["address"] == before["address"]
        assert after["host"]["host_key"] != before["host"]["host_key"]
        certificate = tmp_path / "certificate.pem"
        certificate.write_text(after["certificate"])
        assert "From a real cloud" in Visitor(after["url"], certificate).get().text
    finally:
        settings.write_text(text)


def _answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=3).close()
    except OSError:
        return False
    return True
