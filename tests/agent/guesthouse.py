"""A machine as somebody has it before Slipway comes: only sshd, and a user who may sudo; and how two states differ."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pulumi_slipway import adopt_probe
from pulumi_slipway.adopt import Request
from pulumi_slipway.adopt_root import become_root
from pulumi_slipway.ssh import connect
from tests.agent.server import key_pair
from tests.machines import Machine, machine

PASSWORD = "correct horse battery"
PROGRAM_ENVIRONMENT = {
    "PYTHONPATH": str(Path(__file__).parents[2] / "components"),
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}
"""What the program is started with: none of the operator's own, such as an agent of SSH."""

# What the local driver's images bring for servers of Slipway's own, and a machine of somebody's does not have.
_STOCK = "git logrotate nginx nginx-common python3-venv supervisor ufw unattended-upgrades"

# One line for each thing that could be told to be different; files by type, mode, owner and content.
_STATE = r"""
import grp, hashlib, os, pwd, shutil, stat, subprocess
def run(*command):
    if shutil.which(command[0]) is None: return []
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
for top in ("/etc", "/usr/local", "/opt", "/srv", "/var/lib", "/var/spool/cron", "/root", "/home", "/run/slipway",
            "/run/slipway-agent", "/var/log/slipway"):
    for parent, folders, files in os.walk(top):
        for name in [".", *files, *(f for f in folders if os.path.islink(os.path.join(parent, f)))]:
            path = os.path.normpath(os.path.join(parent, name))
            state = os.lstat(path)
            what = ""
            if stat.S_ISLNK(state.st_mode):
                what = os.readlink(path)
            elif stat.S_ISREG(state.st_mode):
                what = hashlib.sha256(open(path, "rb").read()).hexdigest()[:16]
            print("file", path, oct(state.st_mode), state.st_uid, state.st_gid, what)
for entry in pwd.getpwall(): print("user", *entry)
for entry in grp.getgrall(): print("group", *entry)
for line in run("systemctl", "list-unit-files", "--state=enabled", "--no-legend", "--plain"):
    print("enabled", line.split()[0])
for line in run("systemctl", "list-units", "--type=service,socket,timer", "--state=active", "--no-legend", "--plain"):
    if not line.startswith("user"): print("active", line.split()[0])
for line in run("ss", "-Htulnp"): print("listens", line.split()[0], line.split()[4])
for line in run("swapon", "--show=NAME", "--noheadings"): print("swap", line)
for line in run("iptables-save"):
    # a table that lets all pass is no other thing than no table
    if line.startswith(("-", ":")) and line.split()[1:2] != ["ACCEPT"]: print("packets", line.split("[")[0])
os.makedirs("/run/sshd", exist_ok=True)  # a reload of sshd may leave it without, and it does not tell anything then
for line in run("sshd", "-T"): print("sshd", line)
for line in run("sysctl", "-a"):
    if line.startswith(("net.ipv4.conf.all", "net.ipv4.tcp", "vm.swappiness", "kernel.dmesg")): print("sysctl", line)
for line in run("dpkg-query", "-W", "-f=${db:Status-Abbrev} ${Package}\n"): print("package", line)
"""
_OWNED = r"""
import pathlib
for listing in pathlib.Path("/var/lib/dpkg/info").glob("*.list"):
    print(listing.read_text())
"""

# Kept by programs of the system for themselves, whoever installs or adds something.
_OF_THE_SYSTEM = (
    "/etc/passwd-", "/etc/shadow-", "/etc/group-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-",
    "/var/lib/dpkg", "/var/lib/apt", "/var/lib/systemd/deb-systemd-helper-enabled",
    "/var/lib/systemd/deb-systemd-user-helper-enabled", "/var/lib/systemd/timers", "/var/lib/systemd/random-seed",
    "/var/lib/systemd/timesync", "/var/lib/ucf", "/var/lib/logrotate", "/var/lib/private",
    "/etc/ld.so.cache", "/var/lib/cloud", "/var/lib/dbus", "/etc/mailcap", "/root/.cache", "/var/lib/systemd/catalog",
)  # fmt: skip


def plain_user_data(public_key: str, sudo: str) -> str:
    """Cloud-config of a machine with a user `admin`; `sudo` is "asks" or "free"."""
    rule = "ALL=(ALL:ALL) ALL" if sudo == "asks" else "ALL=(ALL:ALL) NOPASSWD: ALL"
    user = {
        "name": "admin",
        "shell": "/bin/bash",
        "sudo": rule,
        "lock_passwd": False,
        "plain_text_passwd": PASSWORD,
        "ssh_authorized_keys": [public_key],
    }
    purge = f"apt-get -qq purge --autoremove -y {_STOCK} && rm -rf /var/log/nginx /var/lib/nginx"
    environment = "export DEBIAN_FRONTEND=noninteractive;"
    return "#cloud-config\n" + json.dumps({"users": [user], "runcmd": [f"{environment} {purge}"]})


@dataclasses.dataclass
class Guesthouse:
    """The machine, and what its owner tells Slipway of it."""

    box: Machine
    request: Request

    def shell(self, command: str, check: bool = True, timeout: float = 60) -> str:
        return self.box.root_shell(command, check=check, timeout=timeout)

    def adopt(
        self, command: str = "claim", environment: dict[str, str] | None = None, **changes: Any
    ) -> subprocess.CompletedProcess[str]:
        """Runs the program as Pulumi does."""
        document = {**dataclasses.asdict(self.request), **changes}
        return subprocess.run(
            [sys.executable, "-m", "pulumi_slipway.adopt", command],
            input=json.dumps(document), text=True, capture_output=True, timeout=600, check=False,
            env={**PROGRAM_ENVIRONMENT, **(environment or {})},
        )  # fmt: skip

    def state(self) -> set[str]:
        done = self.box.root_run(["python3", "-I", "-"], _STATE, 120)
        assert done.returncode == 0, done.stderr
        return set(done.stdout.splitlines())

    def differences(self, before: set[str]) -> list[str]:
        """What is not as it was, but for what packages brought and what the system keeps for itself."""
        after = self.state()
        new = {line.split()[2] for line in after - before if line.startswith("package ii")}
        owned = set(self.box.root_run(["python3", "-I", "-"], _OWNED, 60).stdout.split())
        found = (line for line in sorted(before ^ after) if not self._excused(line, owned, new))
        return [f"{'+' if line in after else '-'} {line}" for line in found]

    @staticmethod
    def _excused(line: str, owned: set[str], packages: set[str]) -> bool:
        kind, what = line.split()[:2]
        if kind == "package":
            return True
        if kind != "file":
            return False
        path = Path(what)
        places = {str(place) for place in (path, *path.parents)}
        if places & set(_OF_THE_SYSTEM):
            return True
        # links by which init scripts of packages are (not) started
        if path.parent.name.startswith("rc") and path.name[3:] in packages:
            return True
        # a file of a package, or in a folder that packages alone own; their folders may have changed their time
        tops = {"/etc", "/opt", "/srv", "/var/lib", "/usr/local", "/home", "/root", "/"}
        return bool((places - tops) & owned)


@contextmanager
def guesthouse(
    folder: Path, debian: int = 13, sudo: str = "asks", plain: bool = True, memory: int | None = None
) -> Iterator[Guesthouse]:
    """A machine of somebody's, `plain` or with what the driver's image has (nginx with its welcome page, for one)."""
    user, deploy = (key_pair(_sub(folder, name), "ed25519") for name in ("user", "deploy"))
    data = plain_user_data(user.public, sudo)
    if not plain:
        data = data.replace("runcmd", "x-runcmd")
    with machine(data, debian, memory=memory) as box:
        box.reboot()  # what runs at the first boot only is over, and what was purged is gone from memory, too
        host_key = box.root_shell("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub").strip()
        found = Guesthouse(
            box,
            Request(
                address=box.address, port=22, user="admin", private_key=user.private,
                sudo_password=PASSWORD if sudo == "asks" else "", host_key=host_key, owner="stack-one",
                deploy_private=deploy.private, deploy_public=deploy.public, harden=False, other_sites=False,
                firewall=[{"name": name, "port": port, "protocol": "tcp", "sources": ["0.0.0.0/0", "::/0"]}
                          for name, port in (("ssh", 22), ("http", 80), ("https", 443))],
                package_index=None, proxy=None, timeout=600,
            ),
        )  # fmt: skip
        _was_used(found.request)
        yield found


def _was_used(request: Request) -> None:
    """The owner was root there before: sudo notes the first time in the user's home."""
    with connect(request.address, request.port, request.user, request.private_key, [request.host_key]) as connection:
        root = become_root(connection, adopt_probe.ask(connection), request.user, request.sudo_password)
        root.shell("true")


def _sub(folder: Path, name: str) -> Path:
    place = folder / name
    place.mkdir()
    return place
