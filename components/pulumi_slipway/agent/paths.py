"""Where everything lies on the server.

The tests of single modules put another folder in front (`ROOT`); on a server it is `/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")

SLOTS = ("blue", "green")


def rooted(path: str) -> Path:
    return ROOT / path.lstrip("/")


def agent_home() -> Path:
    """Root's folder of programs; `agent` in it is a link to the version in use."""
    return rooted("/usr/local/lib/slipway")


def agent_link() -> Path:
    return agent_home() / "agent"


def uv() -> Path:
    return rooted("/opt/slipway/uv/bin/uv")


def environment_file() -> Path:
    """Package index, proxy and certificate settings of this server, one KEY=VALUE a line."""
    return rooted("/etc/slipway/environment")


def state() -> Path:
    """What the agent remembers about the machine itself."""
    return rooted("/var/lib/slipway")


def volatile() -> Path:
    """Locks and the output of running commands: gone after a reboot, as it should be."""
    return rooted("/run/slipway-agent")


def tls(app: str) -> Path:
    """A link to the folder that holds one certificate and its key, so that both change in one rename."""
    return rooted("/etc/slipway/tls") / app


@dataclass(frozen=True)
class AppPaths:
    """The places of one app."""

    app: str

    @property
    def root(self) -> Path:
        return rooted("/srv") / self.app

    @property
    def claim(self) -> Path:
        return self.root / "claim.json"

    @property
    def releases(self) -> Path:
        return self.root / "releases"

    @property
    def venvs(self) -> Path:
        return self.root / "venvs"

    @property
    def pythons(self) -> Path:
        """Pythons that uv fetched, each in a folder that is called as it was asked for."""
        return self.root / "pythons"

    @property
    def envs(self) -> Path:
        return self.root / "envs"

    @property
    def archives(self) -> Path:
        return self.root / "archives"

    @property
    def slots(self) -> Path:
        return self.root / "slots"

    @property
    def shared(self) -> Path:
        return self.root / "shared"

    @property
    def live_record(self) -> Path:
        """The one file that says what is live: replacing it is the moment of a release."""
        return self.root / "live.json"

    @property
    def live_link(self) -> Path:
        return self.root / "live"

    @property
    def site_record(self) -> Path:
        return self.root / "site.json"

    @property
    def site_undo(self) -> Path:
        """While it exists, files of the site were being replaced; it holds what they were before."""
        return self.root / "site.undo.json"

    @property
    def hold(self) -> Path:
        """While it exists, the app stands still; see `hold.py`."""
        return self.root / "hold.json"

    @property
    def hold_undo(self) -> Path:
        """What its files were before it stood still."""
        return self.root / "hold.undo.json"

    @property
    def arrived(self) -> Path:
        """From which machine its data came, if they did."""
        return self.root / "arrived.json"

    @property
    def journal(self) -> Path:
        return self.root / "journal.jsonl"

    @property
    def work(self) -> Path:
        """Root's own (0700): what is being assembled, and what is being thrown away."""
        return self.root / "work"

    @property
    def build(self) -> Path:
        """Scratch folders, cache and home of the build user."""
        return self.root / "build"

    @property
    def logs(self) -> Path:
        return rooted("/var/log/slipway") / self.app

    def log(self, slot: str, process: str = "web") -> Path:
        return self.logs / (f"{slot}.log" if process == "web" else f"{process}.{slot}.log")

    @property
    def run(self) -> Path:
        return rooted("/run/slipway") / self.app

    @property
    def run_live(self) -> Path:
        """The link that nginx follows to socket and static files."""
        return self.run / "live"

    def run_slot(self, slot: str) -> Path:
        return self.run / slot

    def sockets(self, slot: str) -> Path:
        return self.run / slot / "sockets"

    def socket(self, slot: str) -> Path:
        return self.sockets(slot) / "web.sock"

    def start_flag(self, slot: str) -> Path:
        """Root wants this slot to run. Without it, and when the slot is not live, its program ends at once."""
        return self.run / slot / "start"

    def program(self, slot: str, process: str = "web") -> str:
        """The name of a program of the slot in supervisor. No app's own name has a dot in it."""
        return f"{self.app}-{slot}" if process == "web" else f"{self.app}-{slot}.{process}"

    def programs(self, slot: str) -> Path:
        """The file of supervisor that holds the programs of the workers of a slot."""
        return rooted("/etc/supervisor/conf.d") / f"{self.app}.{slot}.conf"

    @property
    def ports(self) -> Path:
        """The port of each slot, where the app's web server is its own."""
        return self.root / "ports.json"

    @property
    def timers(self) -> Path:
        """The digest of the units of its timers, when systemd has taken them up."""
        return self.root / "timers"

    def release(self, release: str) -> Path:
        return self.releases / release


def other_slot(slot: str) -> str:
    return SLOTS[1 - SLOTS.index(slot)]
