"""The real engine, a machine that somebody has, an app: up, no change, a release, destroy; the machine is as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.guesthouse import PASSWORD, Guesthouse, guesthouse
from tests.agent.server import Server, source
from tests.rig.engine import Engine

pytestmark = pytest.mark.long

_PROGRAM = """
import json, pathlib
import pulumi
from pulumi_slipway import WebApp
from pulumi_slipway.servers.existing import ExistingServer

args = json.loads(pathlib.Path("args.json").read_text())
secrets = {key: pulumi.Output.secret(args.pop(key)) for key in ("private_key", "sudo_password")}
server = ExistingServer("server", {**args, **secrets})
app = {"host": server.host, "private_key": server.private_key, "path": "shop", "entry": "web:app",
       "health": {"path": "/healthz"}}
if server.machine is not None:
    app["machine"] = server.machine
shop = WebApp("app", app)
pulumi.export("url", shop.url)
pulumi.export("host", server.host)
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guesthouse]:
    with guesthouse(tmp_path_factory.mktemp("house"), debian=12, sudo="asks") as found:
        yield found


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    found = Engine(tmp_path / "engine")
    yield found
    found.close()


def _run(engine: Engine, project: Path, *arguments: str) -> str:
    done = engine.pulumi(*arguments, project=project, check=False, timeout=600)
    assert done.returncode == 0, done.stdout
    return str(done.stdout)


def _write(project: Path, house: Guesthouse, text: str, **changes: object) -> None:
    (project / "shop").mkdir(exist_ok=True)
    for name, content in source(text).items():
        (project / "shop" / name).write_text(content)
    request = house.request
    args = {
        "address": request.address, "user": request.user, "host_key": f"{request.address} {request.host_key}",
        "private_key": request.private_key, "sudo_password": PASSWORD,
    }  # fmt: skip
    (project / "args.json").write_text(json.dumps(args | changes))


def test_from_up_to_destroy_it_is_a_server_and_then_the_machine_that_it_was(house: Guesthouse, engine: Engine) -> None:
    before = house.state()
    project = engine.project(_PROGRAM)
    _write(project, house, "first")
    previewed = _run(engine, project, "preview")
    assert "server-adopt" in previewed
    assert house.differences(before) == [], "a preview changes nothing"

    _run(engine, project, "up", "--yes", "--skip-preview")
    server = Server(house.box)
    assert engine.outputs()["url"] == f"https://{house.box.address}/"
    assert server.text() == "first"
    assert engine.outputs()["host"]["user"] == "deploy"

    _run(engine, project, "preview", "--expect-no-changes")
    _run(engine, project, "up", "--yes", "--skip-preview", "--expect-no-changes")

    _write(project, house, "second")
    with server.visited() as visits:
        _run(engine, project, "up", "--yes", "--skip-preview")
    assert visits.failures == []
    assert visits.texts() == ["first", "second"]

    _write(project, house, "second", harden=True)
    previewed = _run(engine, project, "preview", "--diff")
    assert "replace" not in previewed
    assert "harden: ufw: lets in on these ports only" in previewed
    assert "hardened" in previewed
    with server.visited() as visits:
        _run(engine, project, "up", "--yes", "--skip-preview")
    assert visits.failures == []
    assert "Status: active" in house.shell("LC_ALL=C ufw status")
    assert "passwordauthentication no" in house.shell("sshd -T")

    # nothing secret is in the clear, in what is printed or in the state
    state = (engine.folder / "state" / ".pulumi" / "stacks" / engine.project_name / "dev.json").read_text()
    for secret in (PASSWORD, house.request.private_key.splitlines()[2]):
        assert secret not in state
        assert secret not in previewed

    house.shell("su -s /bin/sh shop -c 'echo row > /srv/shop/shared/data/rows'")
    destroyed = _run(engine, project, "destroy", "--yes", "--skip-preview")
    assert "the data of shop are kept in /home/admin/slipway-kept/shop-" in destroyed
    assert "the machine is as it was" in destroyed
    kept = house.shell("cat /home/admin/slipway-kept/shop-*/data/rows; rm -r /home/admin/slipway-kept")
    assert kept.strip() == "row"
    assert "\n".join(house.differences(before)) == ""


def test_kept_on_destroy_everything_stays_and_serves_on(house: Guesthouse, engine: Engine) -> None:
    before = house.state()
    project = engine.project(_PROGRAM)
    _write(project, house, "stays", on_destroy="keep")
    _run(engine, project, "up", "--yes", "--skip-preview")
    destroyed = _run(engine, project, "destroy", "--yes", "--skip-preview")
    assert "as it was" not in destroyed
    assert Server(house.box).text() == "stays"
    # by hand, as nobody knows of it any more
    house.shell("printf '{\"owner\": \"%s\", \"user\": \"admin\"}' $(python3 -c 'import json; "
                "print(*json.load(open(\"/var/lib/slipway/adopted.json\"))[\"owners\"])') "
                "| /usr/local/lib/slipway/agent give-back; rm -rf /run/slipway-agent")  # fmt: skip
    assert "\n".join(house.differences(before)) == ""
