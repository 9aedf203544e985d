"""The pure parts of the local machine driver; booting is in tests/e2e/test_local_machine.py."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
import tomllib
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from pulumi_slipway.local import guest, hostconfig, image, limits, machine, network, requirements
from pulumi_slipway.local.cli import main
from pulumi_slipway.local.errors import LocalError
from pulumi_slipway.local.locks import held, is_held
from pulumi_slipway.local.recipe import Recipe
from pulumi_slipway.local.state import DEFAULT_ROOT, Record, State, read_json, write_json

NET = network.Network("slipway0", IPv4Network("10.213.0.0/24"))


def test_a_subnet_is_one_that_no_route_of_the_host_touches() -> None:
    assert network.choose_subnet([]) == IPv4Network("10.213.0.0/24")
    busy = [IPv4Network("10.213.0.0/25"), IPv4Network("10.213.1.77/32")]
    assert network.choose_subnet(busy) == IPv4Network("10.213.2.0/24")
    assert network.choose_subnet([IPv4Network("10.0.0.0/8")]) == IPv4Network("172.30.0.0/24")


def test_without_a_free_subnet_the_message_says_so() -> None:
    everything = [IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
    with pytest.raises(LocalError, match="no private /24 is free"):
        network.choose_subnet(everything)


def test_an_address_is_not_reused_at_once() -> None:
    assert network.free_address(NET, []) == "10.213.0.2"
    assert network.free_address(NET, ["10.213.0.2", "10.213.0.5"]) == "10.213.0.6"
    assert network.free_address(NET, ["10.213.0.2", "10.213.0.254"]) == "10.213.0.3"


def test_a_full_network_is_an_error() -> None:
    with pytest.raises(LocalError, match="remove machines first"):
        network.free_address(NET, [str(address) for address in list(NET.subnet.hosts())[1:]])


def test_every_chain_that_is_jumped_to_is_defined() -> None:
    for _table, _chain, *rule in NET.jumps:
        assert f":{rule[-1]} - [0:0]" in NET.rules()


def test_name_servers_that_only_the_host_reaches_are_left_out() -> None:
    text = "nameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\noptions edns0\nsearch example.org\n"
    assert hostconfig.nameservers(text) == ["192.0.2.1"]
    assert hostconfig.reachable_resolv_conf(text) == "nameserver 192.0.2.1\nsearch example.org\n"


def test_debian_sources_are_the_hosts_with_the_wanted_release() -> None:
    listing = "".join(
        f"'{uri}/dists/{suite}/main/binary-amd64/Packages.xz' name 0 \n"
        for uri, suite in (
            ("http://other.example.org/apt", "bookworm"),
            ("http://mirror.example.org/debian", "bookworm"),
            ("http://mirror.example.org/debian", "bookworm-updates"),
            ("http://mirror.example.org/debian", "bookworm-backports"),
            ("http://mirror.example.org/debian-security", "bookworm-security"),
        )
    )
    text = hostconfig.debian_sources(listing, "bookworm", "trixie")
    lines = text.splitlines()
    assert [line for line in lines if line.startswith(("URIs", "Suites"))] == [
        "URIs: http://mirror.example.org/debian/",
        "Suites: trixie",
        "URIs: http://mirror.example.org/debian/",
        "Suites: trixie-updates",
        "URIs: http://mirror.example.org/debian-security/",
        "Suites: trixie-security",
    ]


def test_pip_gets_the_hosts_index_and_nothing_that_is_a_path_of_the_host() -> None:
    texts = ["[global]\nindex-url = https://a.example/simple\ncert = /opt/ca.pem\nfind-links = /opt/wheels\n"]
    environ = {"PIP_INDEX_URL": "https://b.example/simple", "PIP_FIND_LINKS": "/opt/wheels"}
    text = hostconfig.pip_conf(texts, environ, trust=True)
    assert text == f"[global]\ncert = {hostconfig.CA_BUNDLE}\nindex-url = https://b.example/simple\n"
    assert hostconfig.pip_conf([], {}, trust=False) == ""


def test_uv_gets_the_hosts_index_and_trust_before_any_table() -> None:
    text = hostconfig.uv_toml("[pip]\nstrict = true\n", {"UV_INDEX_URL": "https://b.example/simple"}, trust=True)
    assert tomllib.loads(text) == {
        "index-url": "https://b.example/simple",
        "native-tls": True,
        "pip": {"strict": True},
    }


def test_proxies_reach_every_process_of_a_machine() -> None:
    environ = {"https_proxy": "http://proxy.example:3128", "HTTP_PROXY": "", "HOME": "/root"}
    assert hostconfig.client_environment(environ, trust=False) == {"https_proxy": "http://proxy.example:3128"}


def test_the_key_of_a_recipe_follows_its_content() -> None:
    recipe = Recipe(debian=13, sources="one")
    assert recipe.key == Recipe(debian=13, sources="one").key
    assert recipe.key.startswith("debian13-")
    changes = (replace(recipe, sources="two"), replace(recipe, certificates={"a.crt": "A"}), Recipe(12, "one"))
    assert len({recipe.key, *(changed.key for changed in changes)}) == 4


def test_an_image_with_more_packages_does_not_replace_the_one_without() -> None:
    plain, more = Recipe(13, "one"), Recipe(13, "one", extra=("postgresql",))
    assert plain.family == "debian13"
    assert more.family.startswith("debian13+")
    assert more.key.startswith(f"{more.family}-")
    assert not more.key.startswith(f"{plain.family}-")
    assert replace(more, sources="two").family == more.family != Recipe(13, "one", extra=("mariadb-server",)).family


def test_only_images_of_the_same_family_are_pruned(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    state.prepare()
    plain, more = Recipe(13, "one"), Recipe(13, "one", extra=("postgresql",))
    keys = [plain.key, "debian13-old", more.key, f"{more.family}-old", "debian12-other"]
    for key in keys:
        (state.images / key).mkdir()
    image._prune(state, more, keep=more.key)
    assert sorted(folder.name for folder in state.images.iterdir()) == sorted(set(keys) - {f"{more.family}-old"})
    image._prune(state, plain, keep=plain.key)
    assert sorted(folder.name for folder in state.images.iterdir()) == sorted([plain.key, more.key, "debian12-other"])
    assert image.remove(state, 13, ["postgresql"]) == [more.key]
    assert image.remove(state, 13) == [plain.key]


def test_extra_packages_are_installed_inside_the_image_and_never_on_the_host() -> None:
    script = image._INSTALL_DISABLED.format(packages="postgresql")
    installing = [line for line in script.splitlines() if "apt-get" in line or "dpkg" in line]
    assert installing == ['chroot "$1" apt-get --yes --no-install-recommends install postgresql']


@pytest.mark.parametrize("name", ["--force-yes", "a b", "x;id", "UPPER", ""])
def test_what_is_no_name_of_a_package_never_reaches_the_build(name: str) -> None:
    with pytest.raises(LocalError, match="is no name of a Debian package"):
        Recipe(13, "one", extra=(name,))


def test_an_unknown_release_of_debian_is_named_with_the_known_ones() -> None:
    with pytest.raises(LocalError, match="--debian 11: this driver builds Debian 13 or 12"):
        image.host_recipe(11)


def test_file_capabilities_are_bound_to_the_machines_root(monkeypatch: pytest.MonkeyPatch) -> None:
    of_version_2 = (0x02000001).to_bytes(4, "little") + (1 << 13).to_bytes(4, "little") + bytes(12)
    monkeypatch.setattr(os, "getxattr", lambda *_a, **_k: of_version_2)
    of_version_3 = image._capability("/usr/bin/ping")
    assert of_version_3 is not None
    assert of_version_3[:4] == (0x03000001).to_bytes(4, "little")
    assert of_version_3[4:20] == of_version_2[4:20]
    assert int.from_bytes(of_version_3[20:], "little") == 0x70000000


def test_user_data_is_readable_by_the_machines_root_only() -> None:
    record = Record("m-0123456789", "web", "web", 13, "debian13-0", "10.213.0.2", None)
    seed = guest.Seed(b"#cloud-config\n")
    files = guest.first_files(record, NET, "0" * 32, seed, {"/etc/pip.conf": "[global]\n"})
    assert files["/var/lib/cloud/seed/nocloud/user-data"] == guest.File(b"#cloud-config\n", 0o600)
    assert "Address=10.213.0.2/24\n" in str(files["/etc/systemd/network/10-slipway-local.network"].content)


def test_public_keys_are_for_the_default_user_by_the_name_that_the_image_gives_it() -> None:
    record = Record("m-0123456789", "web", "web", 13, "debian13-0", "10.213.0.2", None)
    key = "ssh-ed25519 AAAAC3Nza me@home"
    files = guest.first_files(record, NET, "0" * 32, guest.Seed(b"", [key], "admin"), {})
    meta_data = json.loads(files["/var/lib/cloud/seed/nocloud/meta-data"].content)
    assert meta_data == {"instance-id": "m-0123456789", "local-hostname": "web", "public-keys": [key]}
    settings = json.loads(files["/etc/cloud/cloud.cfg.d/95-slipway-login.cfg"].content)
    assert settings == {"system_info": {"default_user": {"name": "admin"}}}
    assert "/root/.ssh/authorized_keys" not in files


def test_public_keys_for_root_are_there_before_user_data_and_there_is_no_other_user() -> None:
    seed = guest.Seed(b"", ["ssh-ed25519 AAAAC3Nza me@home", "ssh-rsa AAAAB3Nza"], "root")
    files = seed.files()
    keys = "ssh-ed25519 AAAAC3Nza me@home\nssh-rsa AAAAB3Nza\n"
    assert files["/root/.ssh/authorized_keys"] == guest.File(keys, 0o600)
    settings = json.loads(files["/etc/cloud/cloud.cfg.d/95-slipway-login.cfg"].content)
    assert settings == {"disable_root": False, "users": []}


def test_without_a_login_the_image_stays_as_debian_made_it() -> None:
    assert guest.Seed(b"x").files() == {}


@pytest.mark.parametrize("key", ["ssh-ed25519", "no key at all!", "ssh-ed25519 AAAA\nssh-rsa BBBB", ""])
def test_what_is_no_public_key_is_refused(key: str) -> None:
    with pytest.raises(LocalError, match="is no public SSH key on one line"):
        guest.Seed(public_keys=[key])


def test_what_is_no_user_name_is_refused() -> None:
    with pytest.raises(LocalError, match="--login 'a b' is no user name"):
        guest.Seed(login="a b")


def test_an_index_password_of_the_operators_home_is_for_root_of_the_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = "https://me:planted@index.example/simple"
    for name, text in (
        ("pip/pip.conf", f"[global]\nindex-url = {planted}\n"),
        ("uv/uv.toml", f'index-url="{planted}"'),
    ):
        path = tmp_path / ".config" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(hostconfig, "_homes", lambda: iter([tmp_path]))
    monkeypatch.setattr(hostconfig, "ca_certificates", lambda: {"a.crt": "A"})
    record = Record("m-0123456789", "web", "web", 13, "debian13-0", "10.213.0.2", None)
    files = guest.first_files(record, NET, "0" * 32, guest.Seed(), hostconfig.client_files())
    holders = {path: file.mode for path, file in files.items() if "planted" in str(file.content)}
    assert holders == {"/root/.config/pip/pip.conf": 0o600, "/root/.config/uv/uv.toml": 0o600}
    assert files["/etc/uv/uv.toml"] == guest.File("native-tls = true\n", 0o644)


def test_an_index_without_a_password_is_for_everybody_in_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".config" / "uv").mkdir(parents=True)
    (tmp_path / ".config" / "uv" / "uv.toml").write_text('index-url = "https://index.example/simple"\n')
    monkeypatch.delenv("UV_CONFIG_FILE", raising=False)
    monkeypatch.setattr(hostconfig, "_homes", lambda: iter([tmp_path]))
    files = hostconfig.client_files()
    assert "index.example" in files["/etc/uv/uv.toml"]
    assert not [path for path in files if path.startswith("/root/")]


def test_clean_touches_nothing_while_there_are_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "HOST_LOCK", tmp_path / "host.lock")
    monkeypatch.setattr(network, "remove", lambda _state: None)
    monkeypatch.setattr(limits, "_BEFORE", tmp_path / "before")
    state = State(tmp_path / "state")
    state.prepare()
    state.folder("web").mkdir()
    state.write_record(Record("m-0123456789", "web", "web", 13, "debian13-0", "10.213.0.2", None))
    with pytest.raises(LocalError, match=r"web\. Remove them first .*remove NAME.*clean --all"):
        machine.clean(state)
    assert state.record("web") is not None
    (state.folder("web") / "machine.json").unlink()  # what an interrupted creation leaves is no machine
    machine.clean(state)
    assert not state.root.exists()


@pytest.fixture
def instances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's limit of inotify instances, 128 as most hosts have it."""
    monkeypatch.setattr(limits, "_INSTANCES", tmp_path / "max_user_instances")
    monkeypatch.setattr(limits, "_BEFORE", tmp_path / "before")
    limits._INSTANCES.write_text("128\n")
    return limits._INSTANCES


def test_the_limit_of_inotify_instances_is_raised_for_machines_and_given_back(instances: Path) -> None:
    for _ in range(2):  # the second machine finds it raised
        limits.ensure()
        assert int(instances.read_text()) >= 60 * 16  # sixty machines as they boot, and logins
    limits.give_back()
    assert instances.read_text() == "128\n"
    limits.give_back()
    assert instances.read_text() == "128\n"


def test_a_limit_that_suffices_or_was_set_by_somebody_else_since_stays(instances: Path) -> None:
    instances.write_text("524288\n")
    limits.ensure()
    limits.give_back()
    assert instances.read_text() == "524288\n"
    instances.write_text("128\n")
    limits.ensure()
    instances.write_text("1024\n")  # `sysctl --system`, say
    limits.give_back()
    assert instances.read_text() == "1024\n"


def test_a_host_whose_limit_cannot_be_raised_is_told_of_and_left_alone(
    instances: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path, text: str) -> int:
        if path == instances:
            raise OSError(30, "Read-only file system")
        return write(path, text)

    write = Path.write_text
    monkeypatch.setattr(Path, "write_text", refuse)
    limits.ensure()
    assert "stays 128" in capsys.readouterr().err
    limits.give_back()
    assert instances.read_text() == "128\n"


@pytest.mark.parametrize("others", [True, False])
def test_the_last_machine_of_the_host_gives_the_limit_back(
    others: bool, instances: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "HOST_LOCK", tmp_path / "host.lock")
    monkeypatch.setattr(network, "remove", lambda _state: None)
    monkeypatch.setattr(network, "in_use", lambda: others)
    limits.ensure()
    state = State(tmp_path / "state")
    state.prepare()
    machine.clean(state)
    assert instances.read_text().strip() == (str(limits._ENOUGH) if others else "128")


def test_state_folders_have_names_of_their_own_on_the_host(tmp_path: Path) -> None:
    assert State(DEFAULT_ROOT).tag == "0"
    tags = {State(tmp_path / name).tag for name in ("a", "b")}
    assert len(tags) == 2
    assert all(len(f"slipway{tag}") <= 15 for tag in tags)  # the name of an interface


def test_a_state_folder_that_overlay_mounts_cannot_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="choose another with --state"):
        State(tmp_path / "a:b")


def test_a_document_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert read_json(path) is None
    write_json(path, {"a": 1})
    assert read_json(path) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]


def _hold(path: Path, seconds: float) -> None:
    with held(path, "napping"):
        time.sleep(seconds)


def test_a_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = multiprocessing.get_context("spawn").Process(target=_hold, args=(path, 60))
    holder.start()
    try:
        while not is_held(path):
            time.sleep(0.01)
        with pytest.raises(LocalError, match=rf"process {holder.pid} \(napping\)"), held(path, "testing", timeout=0.1):
            pass
    finally:
        holder.kill()
        holder.join()
    with held(path, "testing", timeout=1):
        assert is_held(path)
    assert not is_held(path)


def test_a_lock_whose_file_was_removed_is_taken_anew(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held(path, "removing"):
        path.unlink()
        with held(path, "another file of that name", timeout=1):
            assert is_held(path)


def test_missing_programs_are_named_with_their_packages() -> None:
    with pytest.raises(
        LocalError, match=r"no-such-program missing: `apt-get install its-package`.*a Linux virtual machine"
    ):
        requirements.require_programs({"no-such-program": "its-package", "sh": "dash"})


def test_another_system_is_refused_with_the_alternatives(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert main(["list"]) == 1
    message = capsys.readouterr().err
    assert "need Linux, and this is darwin" in message
    assert "a Linux virtual machine" in message


def test_a_command_in_a_machine_keeps_its_own_dashes(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[object] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(requirements, "require_programs", lambda _programs: None)
    monkeypatch.setattr(requirements, "require_user_namespaces", lambda: None)
    monkeypatch.setattr(machine, "execute", lambda _state, name, argv: commands.append((name, argv)))
    assert main(["exec", "web", "--", "runuser", "-u", "nobody", "--", "ls", "--all"]) == 0
    assert main(["exec", "web", "ls", "-l"]) == 0
    assert commands == [("web", ["runuser", "-u", "nobody", "--", "ls", "--all"]), ("web", ["ls", "-l"])]
    with pytest.raises(SystemExit):
        main(["exec", "web"])


def test_without_root_and_sudo_the_message_says_what_helps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert main(["list"]) == 1
    assert "`sudo -v` first" in capsys.readouterr().err


def test_sudo_gets_the_names_of_variables_and_never_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    def stand_in(_program: str, argv: list[str]) -> None:
        started.append(argv)
        raise SystemExit

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "execvp", stand_in)
    monkeypatch.setattr(requirements, "succeeds", lambda _argv: True)
    monkeypatch.setattr("shutil.which", lambda _name: "/usr/bin/sudo")
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:planted@index.example/simple")
    with pytest.raises(SystemExit):
        main(["status", "web"])
    assert "PIP_INDEX_URL" in started[0][2]
    assert "planted" not in " ".join(started[0])
    assert started[0][-2:] == ["status", "web"]


@pytest.mark.parametrize("name", ["", "UPPER", "-dash", "under_score", "a" * 64, "../up"])
def test_a_bad_name_is_refused_before_anything_is_made(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(requirements, "require_programs", lambda _programs: None)
    monkeypatch.setattr("sys.stdin", type("In", (), {"isatty": lambda _self: True})())
    assert main(["--state", str(tmp_path / "state"), "create", "--", name]) == 1
    assert "is no machine name" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()
