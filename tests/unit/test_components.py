"""What the components ask of the engine: order, secretness, triggers, options."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from pulumi_slipway import LocalServer, WebApp
from pulumi_slipway.agent_bundle import agent_digest
from tests.unit.mocks import HOST, Engine, Recorder, observation

Run = Callable[..., Recorder]
SECRETS = (
    "deploy-private",
    "app-secret-key-value",
    "app-digest-key-value",
    "variable-value",
    "server-keys-host-1-private",
)


def release_request(recorder: Recorder) -> dict[str, Any]:
    """What the release step is told: host, key, file and the document for the agent."""
    request: dict[str, Any] = json.loads(recorder.input("app-1-release", "stdin"))
    return request


def release_document(recorder: Recorder) -> dict[str, Any]:
    document: dict[str, Any] = release_request(recorder)["document"]
    return document


def server() -> LocalServer:
    return LocalServer("server", {})


def app(folder: Path, **changes: Any) -> WebApp:
    machine = pulumi.CustomResource("test:index:Machine", "machine", {})
    args: dict[str, Any] = {
        "host": pulumi.Output.from_input(HOST),
        "private_key": "deploy-private",
        "machine": machine,
        "path": str(folder),
        "environment": {"TOKEN": "variable-value"},
    }
    return WebApp("app", {**args, **changes})  # type: ignore[typeddict-item]


# ------------------------------------------------------------------------------------------------------ LocalServer


def test_a_local_server_is_its_keys_its_machine_and_the_ready_step(run: Run) -> None:
    recorder = run(server)
    assert recorder.names >= {
        "server",
        "server-keys",
        "server-keys-boot-1",
        "server-keys-host-1",
        "server-keys-deploy",
        "server-id-1",
        "server-machine-1",
        "server-ready-1",
    }


def test_everything_about_the_host_waits_for_the_ready_step(run: Run) -> None:
    seen: dict[str, Any] = {}

    def program() -> None:
        component = server()
        pulumi.CustomResource("test:index:User", "user", {"address": component.host["address"]})
        component.host.apply(seen.update)

    recorder = run(program)
    assert "server-data" in recorder.depends_on("user")
    assert "server-ready-1" in recorder.depends_on("server-data")
    assert seen == HOST


def test_the_host_holds_no_secret(run: Run) -> None:
    def program() -> None:
        component = server()
        pulumi.CustomResource("test:index:User", "user", {"host": component.host, "key": component.private_key})

    recorder = run(program)
    assert not recorder.is_secret("user", "host")
    assert recorder.is_secret("user", "key")


def test_user_data_and_the_ready_document_are_secret_and_only_on_stdin(run: Run) -> None:
    recorder = run(server)
    for name in ("server-machine-1", "server-ready-1"):
        assert recorder.is_secret(name, "stdin")
        assert "private" not in recorder.input(name, "create")
    assert recorder.input("server-machine-1", "stdin").startswith("#cloud-config")
    document = json.loads(recorder.input("server-ready-1", "stdin"))
    assert document["boot_public"] == "ssh-ed25519 server-keys-boot-1"
    assert document["host_private"] == "server-keys-host-1-private"


def test_a_new_machine_makes_the_ready_step_run_anew(run: Run) -> None:
    recorder = run(server)
    assert list(recorder.input("server-ready-1", "triggers")) == ["machine-1"]
    assert recorder["server-ready-1"].deletedWith.endswith("::server-machine-1")


def test_a_running_machine_leaves_its_command_as_it_was(run: Run, engine: Engine) -> None:
    labels = {"incarnation": "2026-01-01T00:00:00Z", "wake": "2026-01-02T00:00:00Z"}
    engine.status = {"exists": True, "running": True, "labels": labels}
    recorder = run(server)
    assert "--label incarnation=2026-01-01T00:00:00Z --label wake=2026-01-02T00:00:00Z" in recorder.input(
        "server-machine-1", "create"
    )


def test_a_running_machine_is_known_by_what_the_driver_says_whatever_its_command_will_print(
    run: Run, engine: Engine
) -> None:
    found = {"id": "machine-9", "name": "guest", "address": "10.1.2.9"}
    engine.status = {"exists": True, "running": True, "labels": {}, **found}
    recorder = run(server)
    assert list(recorder.input("server-ready-1", "triggers")) == ["machine-9"]
    assert "server-machine-1" in recorder.depends_on("server-ready-1")


def test_a_stopped_machine_is_an_update_and_a_missing_one_a_replacement(run: Run, engine: Engine) -> None:
    labels = {"incarnation": "2026-01-01T00:00:00Z", "wake": "2026-01-02T00:00:00Z"}
    engine.status = {"exists": True, "running": False, "labels": labels}
    stopped = run(server)
    assert list(stopped.input("server-machine-1", "triggers")) == ["2026-01-01T00:00:00Z"]
    assert "wake=2026-01-02" not in stopped.input("server-machine-1", "create")


def test_a_missing_machine_is_a_replacement(run: Run, engine: Engine) -> None:
    engine.status = {"exists": False, "running": False, "labels": {}}
    missing = run(server)
    (incarnation,) = missing.input("server-machine-1", "triggers")
    # the old one is deleted last: it must not be mistaken for the new one, which may have its name
    assert f"--label incarnation={incarnation}" in missing.input("server-machine-1", "delete")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"debian": 11}, "debian: 11 is not supported"),
        ({"memory": 64}, "memory: 64 MiB is too little"),
        ({"firewall": [{"name": "web", "port": 70000}]}, "firewall rule 'web': port 70000 is out of range"),
        ({"firewall": [{"name": "x'; reboot; '", "port": 1}]}, "name it by letters"),
        ({"proxy": "http://x\nEND\nreboot"}, "proxy: .* is no URL"),
        ({"admin_keys": ["nonsense"]}, r"admin_keys\[0\]: 'nonsense' is no public SSH key"),
    ],
)
def test_wrong_arguments_are_told_before_any_resource_is_made(run: Run, args: Any, message: str) -> None:
    recorders = []

    def program() -> None:
        with pytest.raises(ValueError, match=message):
            LocalServer("server", args)

    recorders.append(run(program))
    assert not any("server" in name for name in recorders[0].names)


# ----------------------------------------------------------------------------------------------------------- WebApp


def test_the_order_is_agent_claim_site_release(run: Run, app_folder: Path) -> None:
    recorder = run(lambda: app(app_folder))
    assert "app-1-agent" in recorder.depends_on("app-1-claim")
    assert "app-1-claim" in recorder.depends_on("app-1-site")
    assert "app-1-site" in recorder.depends_on("app-1-release")


def test_every_remote_resource_is_made_anew_on_another_host_and_goes_with_the_machine(
    run: Run, app_folder: Path
) -> None:
    recorder = run(lambda: app(app_folder))
    remote = ["app-1-agent", "app-1-claim", "app-1-site", "app-1-release"]
    assert set(remote) == {name for name in recorder.names if name.startswith("app-1-")} - {"app-1-claim-turn"}
    for name in remote:
        subject = ["guestbook"] if name == "app-1-claim" else []
        assert list(recorder.input(name, "triggers")) == ["machine-1", *subject], name
        assert "stderr" in recorder[name].additionalSecretOutputs, name
        assert recorder[name].deletedWith.endswith("::machine"), name
        assert recorder[name].parent.endswith("::app"), name


def test_steps_have_no_delete_and_the_presence_has_one(run: Run, app_folder: Path) -> None:
    recorder = run(lambda: app(app_folder))
    for name in ("app-1-agent", "app-1-site", "app-1-release"):
        assert "delete" not in recorder[name].object
        assert "update" not in recorder[name].object
    assert recorder.input("app-1-claim", "delete").startswith("sudo -n /usr/local/lib/slipway/agent remove")


def test_a_claim_is_another_one_on_another_host_also_on_one_that_had_it_before(run: Run, app_folder: Path) -> None:
    recorder = run(lambda: app(app_folder))
    assert dict(recorder.input("app-1-claim-turn", "keepers")) == {"host": "machine-1", "subject": "guestbook"}
    assert "app-1-claim-turn" in recorder.depends_on("app-1-claim")
    assert json.loads(recorder.input("app-1-claim", "stdin"))["turn"] == "ab12cd"


def test_host_keys_are_pinned_in_every_connection(run: Run, app_folder: Path) -> None:
    recorder = run(lambda: app(app_folder))
    for name in ("app-1-claim", "app-1-site"):
        assert recorder.is_secret(name, "connection"), name
        assert recorder.input(name, "connection")["hostKey"] == HOST["host_key"], name
    for name in ("app-1-agent", "app-1-release"):
        assert recorder.is_secret(name, "stdin"), name
        assert json.loads(recorder.input(name, "stdin"))["host"] == HOST, name


def test_the_agent_is_in_the_state_by_its_digest_alone(run: Run, app_folder: Path) -> None:
    recorder = run(lambda: app(app_folder))
    assert agent_digest()[:12] in recorder.input("app-1-agent", "create")
    assert set(json.loads(recorder.input("app-1-agent", "stdin"))) == {"host", "private_key"}


def test_secrets_travel_on_stdin_only(run: Run, app_folder: Path) -> None:
    recorder = run(lambda: app(app_folder))
    for name in recorder.names:
        inputs = recorder[name].object
        for key in inputs:
            if not recorder.is_secret(name, key):
                text = str(inputs[key])
                assert not [secret for secret in SECRETS if secret in text], (name, key)
    document = release_document(recorder)
    assert document["environment"]["TOKEN"] == "variable-value"
    assert document["environment"]["SECRET_KEY"] == "app-secret-key-value"


def test_the_release_says_its_id_and_the_names_of_its_variables(run: Run, app_folder: Path) -> None:
    recorder = run(lambda: app(app_folder))
    create = recorder.input("app-1-release", "create")
    document = release_document(recorder)
    assert document["release"] in create
    assert "variables: DATABASE_ENGINE DATABASE_NAME DATABASE_URL FLASK_APP SECRET_KEY TOKEN" in create
    assert not recorder.is_secret("app-1-release", "create")


def test_a_changed_variable_is_another_release(run: Run, app_folder: Path) -> None:
    first = release_request(run(lambda: app(app_folder)))
    second = release_request(run(lambda: app(app_folder, environment={"TOKEN": "x"})))
    assert first["document"]["release"] != second["document"]["release"]
    assert first["file"]["path"] == second["file"]["path"]
    assert first["document"]["release"] in first["file"]["unless"]


def test_a_variable_of_the_user_wins_over_ours(run: Run, app_folder: Path) -> None:
    recorder = run(lambda: app(app_folder, environment={"DATABASE_URL": "postgresql://db/x"}))
    assert release_document(recorder)["environment"]["DATABASE_URL"] == "postgresql://db/x"


def test_nothing_changes_while_all_is_as_wanted(run: Run, app_folder: Path, engine: Engine) -> None:
    first = run(lambda: app(app_folder))
    site = json.loads(first.input("app-1-site", "stdin"))
    release = release_document(first)
    import hashlib

    files = {path: hashlib.sha256(file["content"].encode()).hexdigest() for path, file in site["files"].items()}
    engine.observation = observation(
        agent=agent_digest(),
        claimed=True,
        claim_serial=json.loads(first.input("app-1-claim", "stdin"))["serial"],
        release=release["release"],
        release_serial=release["serial"],
        site_serial=site["serial"],
        files=files,
    )
    second = run(lambda: app(app_folder))
    for name in ("app-1-claim", "app-1-site", "app-1-release"):
        assert second.input(name, "create") == first.input(name, "create")
        assert second.input(name, "stdin") == first.input(name, "stdin")


def test_a_preview_says_what_changes_on_the_server_and_nothing_when_all_is_as_wanted(
    run: Run, app_folder: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def info(text: str, _resource: pulumi.Resource) -> None:
        if "release" in text:  # what the app was taken for is always said
            said.append(text)

    monkeypatch.setattr(pulumi.log, "info", info)
    first = run(lambda: app(app_folder), preview=True)
    assert [line.split(",")[0] for line in said] == [f"guestbook: release {release_document(first)['release']}"]
    said.clear()
    document = release_document(first)
    engine.observation = observation(
        release=document["release"], release_serial=document["serial"], variables=document["fingerprints"]
    )
    run(lambda: app(app_folder), preview=True)
    assert said == []
    run(lambda: app(app_folder, environment={"TOKEN": "another", "MORE": "1"}), preview=True)
    assert said[0].splitlines()[1:] == ["  variables: changed TOKEN; new MORE"]
    said.clear()
    host = pulumi.Output(set(), asyncio.sleep(0), asyncio.sleep(0, False))
    run(lambda: app(app_folder, host=host), preview=True)
    assert said == ["guestbook: a first release of 3 files on a new server"]


def test_a_rollback_on_the_server_gives_a_new_serial(run: Run, app_folder: Path, engine: Engine) -> None:
    engine.observation = observation(release="r-older", release_serial=4)
    recorder = run(lambda: app(app_folder))
    assert release_document(recorder)["serial"] > 4


def test_an_app_that_is_renamed_is_claimed_anew_and_its_data_are_kept(run: Run, app_folder: Path) -> None:
    recorder = run(lambda: app(app_folder, name="renamed"))
    assert list(recorder.input("app-1-claim", "triggers")) == ["machine-1", "renamed"]
    assert json.loads(recorder.input("app-1-claim", "stdin"))["keep_data"] is True


def test_without_observing_nothing_is_asked(run: Run, app_folder: Path, engine: Engine) -> None:
    run(lambda: app(app_folder, observe=False))
    assert engine.calls == []


def test_an_unreachable_host_is_an_error_in_an_up(run: Run, app_folder: Path, engine: Engine) -> None:
    engine.observation = observation(error="10.1.2.3:22: timed out")
    with pytest.raises(Exception, match="could not be observed: 10.1.2.3:22: timed out"):
        run(lambda: app(app_folder))


def test_an_unreachable_host_is_a_warning_in_a_preview(run: Run, app_folder: Path, engine: Engine) -> None:
    engine.observation = observation(error="10.1.2.3:22: timed out")
    recorder = run(lambda: app(app_folder), preview=True)
    assert "app-1-release" in recorder.names


def test_a_wrong_app_makes_no_resource(run: Run, tmp_path: Path) -> None:
    def program() -> None:
        with pytest.raises(ValueError, match="is not a folder"):
            WebApp("app", {"host": HOST, "private_key": "k", "path": str(tmp_path / "missing")})

    assert not [name for name in run(program).names if name.startswith("app")]
