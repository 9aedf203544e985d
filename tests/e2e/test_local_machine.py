"""The local machine driver by itself, with real machines.

The tests that count what is left use a state folder of their own; its images are hard links to the usual ones.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.machines import Machine, drive, driver, machine

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="looks at processes and rules of the host: needs root"),
    pytest.mark.timeout(600),
]

UID_BASE = 0x70000000


@pytest.fixture(scope="module")
def box() -> Iterator[Machine]:
    """A machine for the tests that leave it running."""
    with machine() as made:
        yield made


@pytest.fixture
def state() -> Iterator[Path]:
    """A state folder of the test's own; on the disk of the usual one, since some /tmp cannot hold an overlay."""
    image = Path(drive("image", timeout=900)["path"]).parent
    folder = image.parents[1].with_name(f"test-{secrets.token_hex(3)}")
    (folder / "images").mkdir(parents=True)
    subprocess.run(["cp", "--archive", "--link", image, folder / "images"], check=True)
    try:
        yield folder
    finally:
        driver("--state", str(folder), "clean", "--all")
        shutil.rmtree(folder, ignore_errors=True)


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def wait_for(condition: Callable[[], bool], tell: Callable[[], object], within: float = 60.0) -> None:
    """Wait until `condition` holds; after so many seconds fail with what `tell` says."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, tell()
        time.sleep(0.2)


def traces(word: str) -> list[str]:
    """Whatever on this host carries `word` in its name: links, rules, mounts, control groups, processes."""
    commands = ("ip -o link", "iptables-save", "cat /proc/self/mountinfo", "find /sys/fs/cgroup -type d", "ps -eo args")
    host = "".join(
        subprocess.run(command.split(), capture_output=True, text=True, check=False).stdout for command in commands
    )
    return [line for line in host.splitlines() if word.lower() in line.lower()]


@pytest.mark.parametrize("debian", [13, 12])
def test_a_machine_is_a_whole_debian_with_a_working_firewall_and_package_registries(debian: int) -> None:
    with machine(debian=debian) as made:
        assert json.loads(made.root_shell("cloud-init status --format json", check=False))["status"] == "done"
        assert made.root_shell("systemctl --failed --no-legend") == ""
        assert made.root_shell(". /etc/os-release; echo $VERSION_ID").strip() == str(debian)
        assert answers(made.address, 80)
        made.root_shell("ufw allow 22/tcp && ufw --force enable")
        assert answers(made.address, 22)
        assert not answers(made.address, 80)
        made.root_shell("ufw allow 80/tcp")
        assert answers(made.address, 80)
        made.root_shell("apt-get -qq update", timeout=120)
        made.root_shell("python3 -m venv /tmp/v && /tmp/v/bin/pip -q download -d /tmp/x itsdangerous", timeout=120)


def test_user_data_runs_once_and_data_outlive_stop_power_cut_and_reboot() -> None:
    with machine("#cloud-config\nhostname: from-user-data\nruncmd: ['echo ran >> /root/runs']\n") as made:
        assert made.root_shell("hostname").strip() == "from-user-data"
        made.reboot()
        assert made.status()["boots"] == 2
        made.root_shell("echo kept > /root/kept; sync")
        made.kill()
        assert made.status()["running"] is False
        made.start()
        made.root_run(["systemctl", "reboot"])
        wait_for(lambda: made.status()["boots"] >= 4 and made.root_run(["true"]).returncode == 0, made.status)
        made.root_shell("cloud-init status --wait", timeout=120, check=False)
        assert made.root_shell("cat /root/runs /root/kept") == "ran\nkept\n"


def test_a_machine_that_has_lost_its_power_is_off_the_network_whatever_it_had_left_to_say(box: Machine) -> None:
    with machine() as peer:
        talk = f"import socket, time; s = socket.create_connection(('{peer.address}', 22)); s.recv(99); time.sleep(600)"
        box.root_run(["systemd-run", "--quiet", "python3", "-c", talk])
        wait_for(lambda: peer.address in box.root_shell("ss -Htn state established"), box.status)
        peer.kill()  # nobody answers now that box hangs up
        box.kill()
    assert f"vb-{box.id}" not in ip("-o", "link")
    box.start()
    assert answers(box.address, 22)


def test_creating_what_is_there_describes_it_and_starts_it_when_it_is_stopped(box: Machine) -> None:
    assert drive("create", box.name)["id"] == box.id
    box.stop()
    again = drive("create", box.name, "--debian", "12")
    assert (again["id"], again["address"], again["debian"]) == (box.id, box.address, 13)
    assert box.status()["running"] is True


def test_a_command_in_a_machine_has_its_stdin_exit_code_and_end(box: Machine) -> None:
    done = box.root_run(["sh", "-c", "cat; id -u; pwd; exit 7"], stdin="hello\n")
    assert (done.returncode, done.stdout) == (7, "hello\n0\n/\n")
    with pytest.raises(subprocess.TimeoutExpired):
        box.root_run(["sleep", "4711"], timeout=1)
    assert "4711" not in box.root_shell("ps -eo args | grep '[s]leep 4711' || true")


def test_root_of_a_machine_is_nobody_on_its_host(box: Machine) -> None:
    leader = _leader(box)
    uids = next(line for line in Path(f"/proc/{leader}/status").read_text().splitlines() if line.startswith("Uid:"))
    assert int(uids.split()[1]) == UID_BASE
    for attempt in (
        "echo 1 > /proc/sys/kernel/sysrq",
        "echo c > /proc/sysrq-trigger",
        "mknod /root/disk b 254 0 && cat /root/disk | head -c 1",
        "mount -o remount,rw /sys && echo 0 > /sys/kernel/mm/ksm/run",
        "date -s 2001-01-01",
        "dmesg",
        "swapoff -a && swapon /etc/fstab",
    ):
        done = box.root_run(["systemd-run", "--quiet", "--wait", "--pipe", "sh", "-c", attempt])
        assert done.returncode != 0, f"a machine may do this: {attempt}"


def test_a_machine_reaches_no_service_of_its_host(box: Machine) -> None:
    gateway = box.root_shell("ip route show default").split()[2]
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 - that is what is to be out of reach
        port = server.getsockname()[1]
        assert answers(gateway, port)
        reached = box.root_run(["timeout", "2", "bash", "-c", f"</dev/tcp/{gateway}/{port}"])
    assert reached.returncode != 0


def test_machines_reach_each_other_and_the_world_where_the_host_drops_forwarded_packets(box: Machine) -> None:
    policy = subprocess.run(["iptables", "-w", "-S", "FORWARD"], capture_output=True, text=True, check=True).stdout
    before = policy.splitlines()[0].split()[-1]
    subprocess.run(["iptables", "-w", "-P", "FORWARD", "DROP"], check=True)
    try:
        with machine() as other:
            other.root_shell(f"timeout 5 bash -c '</dev/tcp/{box.address}/22'")
            other.root_shell("apt-get -qq update", timeout=120)
    finally:
        subprocess.run(["iptables", "-w", "-P", "FORWARD", before], check=True)


def test_machines_find_the_host_at_the_same_hardware_address_whoever_comes_or_goes(box: Machine) -> None:
    (route,) = json.loads(ip("-json", "route", "get", box.address))
    before = json.loads(ip("-json", "link", "show", route["dev"]))[0]["address"]
    other = f"test{secrets.token_hex(3)}"
    # The lowest address of the ports is what a bridge takes unless it was given one
    ip("link", "add", other, "address", "00:00:00:00:00:01", "type", "veth")
    try:
        ip("link", "set", other, "master", route["dev"])
        assert json.loads(ip("-json", "link", "show", route["dev"]))[0]["address"] == before
    finally:
        ip("link", "delete", other)


def test_a_limit_of_memory_holds() -> None:
    name = f"test-{secrets.token_hex(4)}"
    try:
        drive("create", name, "--memory", "300")
        hungry = "x = bytearray(2**20 * 600); print(len(x))"
        assert driver("exec", name, "--", "python3", "-c", hungry).returncode != 0
    finally:
        driver("remove", name)


def test_machines_are_created_at_once_with_addresses_of_their_own(state: Path) -> None:
    names = ["a", "b", "c", "c", "c"]
    with ThreadPoolExecutor(len(names)) as pool:
        made = list(pool.map(lambda name: drive("--state", str(state), "create", name), names))
    assert len({one["address"] for one in made}) == 3
    assert len({one["id"] for one in made}) == 3
    assert all(one["boots"] == 1 for one in made)
    assert [one["name"] for one in drive("--state", str(state), "list")["machines"]] == ["a", "b", "c"]


def test_nothing_is_left_when_the_last_machine_is_removed(state: Path) -> None:
    options = ("--state", str(state))
    made = [drive(*options, "create", name) for name in ("one", "two")]
    bridge = json.loads((state / "network.json").read_text())["bridge"]
    assert traces(bridge)
    drive(*options, "remove", "one")
    assert answers(made[1]["address"], 22)
    drive(*options, "remove", "two")
    drive(*options, "remove", "two")
    for word in (bridge, str(state), made[0]["id"], made[1]["id"]):
        assert traces(word) == []
    assert list((state / "machines").iterdir()) == []


def test_after_a_reboot_of_the_host_a_machine_comes_back_with_its_data(state: Path) -> None:
    options = ("--state", str(state))
    made = drive(*options, "create", "web")
    box = Machine("web", made["id"], made["address"], 13, options)
    box.root_shell("echo kept > /root/kept; sync")
    # What a reboot leaves: the disk, with its stale files; no process, no bridge, no rules
    subprocess.run(["kill", "-9", (state / "machines/web/keeper").read_text().strip()], check=True)
    subprocess.run(["kill", "-9", (state / "machines/web/process").read_text().split()[0]], check=True)
    bridge = json.loads((state / "network.json").read_text())["bridge"]
    subprocess.run(["ip", "link", "delete", bridge], check=True)
    for table, chain in (("filter", "INPUT"), ("filter", "FORWARD"), ("nat", "POSTROUTING")):
        rules = subprocess.run(["iptables", "-w", "-t", table, "-S", chain], capture_output=True, text=True, check=True)
        for rule in rules.stdout.splitlines():
            if bridge in rule:
                subprocess.run(["iptables", "-w", "-t", table, "-D", *rule.split()[1:]], check=True)
    assert box.status()["running"] is False
    again = drive(*options, "create", "web")
    assert (again["id"], again["address"], again["boots"]) == (made["id"], made["address"], 2)
    assert box.root_shell("cat /root/kept") == "kept\n"
    box.root_shell("apt-get -qq update", timeout=120)


def test_a_creation_that_was_killed_at_any_moment_is_done_by_the_next(state: Path) -> None:
    command = [sys.executable, "-m", "pulumi_slipway.local", "--state", str(state), "create", "web"]
    environment = os.environ | {"PYTHONPATH": "components"}
    for milliseconds in (60, 120, 180, 240, 300, 500, 900):
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
        ) as creation:
            timer = threading.Timer(milliseconds / 1000, creation.send_signal, [signal.SIGKILL])
            timer.start()
            creation.wait()
            timer.cancel()
        made = drive("--state", str(state), "create", "web")
        assert answers(made["address"], 22)
        drive("--state", str(state), "remove", "web")


def test_a_machine_outlives_its_creator_and_everything_in_the_creators_session(state: Path) -> None:
    command = f"{sys.executable} -m pulumi_slipway.local --state {state} create web </dev/null; sleep 60"
    with subprocess.Popen(
        ["sh", "-c", command],
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
        env=os.environ | {"PYTHONPATH": "components"},
    ) as session:
        assert session.stdout is not None
        made = json.loads(session.stdout.readline())
        os.killpg(session.pid, signal.SIGKILL)
    assert answers(made["address"], 22)
    assert drive("--state", str(state), "status", "web")["running"] is True


def test_unknown_machines_are_absent_and_told_so() -> None:
    assert drive("status", "no-such")["exists"] is False
    assert drive("remove", "no-such")["exists"] is False
    for command in ("start", "stop"):
        done = driver(command, "no-such")
        assert (done.returncode, done.stdout) == (1, "")
        assert "there is no machine no-such: `create no-such`" in done.stderr


def _leader(box: Machine) -> int:
    folder = Path(os.environ.get("SLIPWAY_LOCAL_STATE") or "/var/lib/slipway/local") / "machines" / box.name
    nspawn = (folder / "process").read_text().split()[0]
    return int(Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()[0])
