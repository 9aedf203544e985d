"""A machine that somebody has: what opens it, what it may be, and what is asked of the engine for it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from pulumi_slipway import WebApp, adopt, hostkey
from pulumi_slipway.adopt_probe import UnsupportedError, check, read
from pulumi_slipway.bootstrap import Guesthouse, render_adoption_script, render_hardening_script
from pulumi_slipway.servers.existing import ExistingServer
from pulumi_slipway.servers.logins import check_address, check_private_key, check_user, parse_host_key
from tests.unit.mocks import Engine, Recorder
from tests.unit.sshserver import SshServer, new_key

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDGbcqRjcqfxr3rjPzZkGD0Ih3g7M5Oo8dD0Q8pPqhqyzg0tG9i"
Run = Callable[..., Recorder]


# ------------------------------------------------------------------------------------------------------- host keys


@pytest.mark.parametrize(
    "line",
    [
        ED25519,
        f"{ED25519} root@pi",
        f"192.0.2.7 {ED25519}",
        f"[192.0.2.7]:2222 {ED25519}",
        f"host.example.org,192.0.2.7 {ED25519} a comment",
        f"|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= {ED25519}",
        f"# 192.0.2.7:22 SSH-2.0-OpenSSH_9.2p1\n192.0.2.7 {ED25519}\n",
        f"  {ED25519}  \n",
    ],
)
def test_a_host_key_is_understood_as_ssh_keyscan_and_files_of_ssh_write_it(line: str) -> None:
    assert parse_host_key("host_key", line) == ED25519


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (None, "host_key: missing; nothing is ever sent to a machine whose key is not known"),
        ("", "host_key: missing"),
        ("256 SHA256:4vQ2d8 root@pi (ED25519)", "is a fingerprint; the key itself is wanted"),
        ("SHA256:4vQ2d8", "is a fingerprint"),
        ("ssh-ed25519", "'ssh-ed25519' is no host key; give a line such as 'ssh-ed25519 AAAA"),
        ("AAAAC3NzaC1lZDI1NTE5AAAAIAAB", "is no host key"),
        ("trust me", "'trust me' is no host key"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1!", "is damaged: its second part is no ssh-ed25519 key"),
        ("ssh-ed25519 AAAAB3NzaC1yc2EAAAADAQAB", "is damaged"),
        (RSA, "a key of type 'ssh-rsa' cannot be pinned; take the machine's ssh-ed25519 or ecdsa key"),
        (f"@cert-authority * {ED25519}", "is a certificate authority or a revoked key"),
        (f"{ED25519}\n{RSA}", "2 lines are given; one key is wanted"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nplanted-secret", "this is a private key"),
    ],
)
def test_what_is_no_host_key_is_refused_and_the_helper_named(line: str | None, said: str) -> None:
    with pytest.raises(ValueError, match="^host_key: ") as caught:
        parse_host_key("host_key", line, "192.0.2.7:2222")
    assert said in str(caught.value)
    assert "planted-secret" not in str(caught.value)
    if "one key is wanted" not in said and "authority" not in said:
        assert "`python -m pulumi_slipway.hostkey 192.0.2.7:2222`" in str(caught.value)


# ----------------------------------------------------------------------------------------------------- private keys


def _keygen(folder: Path, *options: str) -> str:
    path = folder / f"key-{len(list(folder.iterdir()))}"
    subprocess.run(["ssh-keygen", "-q", "-f", str(path), *options], check=True, timeout=60)
    return path.read_text()


def _new_openssh_key() -> str:
    with tempfile.TemporaryDirectory() as folder:
        return _keygen(Path(folder), "-N", "", "-t", "ed25519")


# with and without a comment: the length of the last part of the file is another one each time
@pytest.mark.parametrize("comment", ["", "me@home", "x"])
@pytest.mark.parametrize("kind", [["ed25519"], ["ecdsa"], ["ecdsa", "-b", "521"], ["rsa", "-b", "2048"]])
def test_private_keys_as_ssh_keygen_makes_them_are_taken_whatever_became_of_their_line_ends(
    tmp_path: Path, kind: list[str], comment: str
) -> None:
    text = _keygen(tmp_path, "-N", "", "-C", comment, "-t", *kind)
    for given in (text, text.strip(), text.replace("\n", "\r\n"), f"\n{text}\n\n"):
        assert check_private_key("private_key", given) == text


_PEM = ["-m", "PEM", "-t", "rsa", "-b", "2048"]
_PKCS8 = ["-m", "PKCS8", "-t", "ecdsa"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-N", "open sesame", "-t", "ed25519"], "is encrypted with a passphrase, which nobody is there to type"),
        ([*_PEM, "-N", ""], "is in PEM form (BEGIN RSA PRIVATE KEY); convert on a copy of the file: ssh-keygen -p"),
        ([*_PKCS8, "-N", ""], "is in PEM form (BEGIN PRIVATE KEY); convert on a copy of the file: ssh-keygen -p"),
        ([*_PEM, "-N", "open sesame"], "is encrypted with a passphrase, and in PEM form"),
        ([*_PKCS8, "-N", "open sesame"], "is encrypted with a passphrase, and in PEM form"),
    ],
)
def test_keys_of_other_forms_are_refused_and_the_remedy_works(tmp_path: Path, options: list[str], said: str) -> None:
    text = _keygen(tmp_path, *options)
    with pytest.raises(ValueError, match="^private_key: ") as caught:
        check_private_key("private_key", text)
    message = str(caught.value)
    assert said in message
    assert [line for line in text.splitlines()[1:-1] if line and line in message] == []
    copy = tmp_path / "copy"
    copy.write_text(text)
    copy.chmod(0o600)
    assert "ssh-keygen -p -N '' -f COPY" in message
    passphrase = "open sesame" if "open sesame" in options else ""
    subprocess.run(["ssh-keygen", "-p", "-N", "", "-P", passphrase, "-f", str(copy)], check=True, timeout=60,
                   capture_output=True)  # fmt: skip
    assert check_private_key("private_key", copy.read_text()) == copy.read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ED25519, "this is a public key; give the private one (the file without .pub)"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nplanted-secret", "this is a public key"),
        (
            "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nplanted-secret",
            "puttygen FILE.ppk -O private-openssh",
        ),
        ("~/.ssh/id_ed25519", "give the content of the file, not its name"),
        ("planted-secret", "is no private key"),
        ("", "is no private key"),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nplantedsecret\n-----END OPENSSH PRIVATE KEY-----",
            "is damaged: between its first and last line",
        ),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n", "is damaged"),
    ],
)
def test_what_is_no_private_key_is_refused_and_never_quoted(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="^private_key: ") as caught:
        check_private_key("private_key", text)
    assert said in str(caught.value)
    assert "planted" not in str(caught.value)


def test_a_key_that_was_cut_short_is_damaged(tmp_path: Path) -> None:
    lines = _keygen(tmp_path, "-N", "", "-t", "ed25519").splitlines()
    with pytest.raises(ValueError, match="private_key: .hidden. is damaged"):
        check_private_key("private_key", "\n".join([*lines[:-3], lines[-1]]))


@pytest.mark.parametrize("value", ["192.0.2.7", "2001:db8::7", "pi.local", "raspberrypi", "a.b-c.example.org"])
def test_addresses_and_names_are_taken(value: str) -> None:
    assert check_address("address", value) == value


@pytest.mark.parametrize("value", ["", "pi@192.0.2.7", "192.0.2.7:22", "ssh://pi", "10.0.0.300", "a b", "x;reboot"])
def test_what_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=f"^address: '{value}' is no address; give an IP address or a host name"):
        check_address("address", value)


@pytest.mark.parametrize("value", ["", "Root", "a b", "-x", "x;id"])
def test_what_is_no_user_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="^user: .* is no name of a user"):
        check_user("user", value)


# -------------------------------------------------------------------------------------------------- kinds of machines

_MACHINE = {
    "kernel": "Linux",
    "id": "debian",
    "like": "",
    "name": "Debian GNU/Linux 12 (bookworm)",
    "systemd": "yes",
    "architecture": "amd64",
    "processor": "x86_64",
    "python": "3.11",
    "uid": "1000",
    "sudo": "/usr/bin/sudo",
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"id": "ubuntu", "like": "debian", "python": "3.12"},
        {"id": "raspbian", "like": "debian", "architecture": "armhf", "processor": "armv7l"},
        {"architecture": "armhf", "processor": "aarch64"},
        {"architecture": "arm64", "processor": "aarch64", "python": "3.13"},
        {"python": ""},
        {"uid": "0", "sudo": ""},
    ],
)
def test_these_machines_are_supported(changes: dict[str, str]) -> None:
    check(read(_MACHINE | changes), "admin")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kernel": "Darwin"}, "the machine runs Darwin: Debian 12, Ubuntu 24.04"),
        ({"id": "fedora", "like": "", "name": "Fedora 42"}, "runs Fedora 42, which is not of the family of Debian"),
        ({"systemd": ""}, "was not started by systemd"),
        ({"architecture": "armhf", "processor": "armv6l"}, "processor is armv6l .*no uv"),
        ({"architecture": "riscv64", "processor": "riscv64"}, "architecture is riscv64: amd64, arm64, armhf are"),
        ({"architecture": "i386", "processor": "x86_64"}, "architecture is i386"),
        ({"python": "3.9"}, "python3 of the machine is 3.9, older than 3.11"),
        ({"python": "3.10"}, "is 3.10, older than 3.11"),
        ({"sudo": ""}, "no sudo on the machine, and admin is not root: install it .* or set user to root"),
    ],
)
def test_these_machines_are_refused_with_what_would_help(changes: dict[str, str], said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        check(read(_MACHINE | changes), "admin")


def test_a_machine_that_says_nothing_is_refused() -> None:
    with pytest.raises(UnsupportedError):
        check(read({}), "admin")


# ----------------------------------------------------------------------------------------------------------- scripts


def test_nothing_that_decides_who_may_reach_a_machine_is_in_the_script_for_it() -> None:
    script = render_adoption_script(Guesthouse())
    for word in ("sshd_config", "sshd -t", "ufw", "hostname", "ssh_host", "unattended-upgrades", "20auto-upgrades"):
        assert word not in script
    assert "authorized_keys" not in script


def test_the_hardening_script_has_all_of_that_and_keeps_the_owner_s_rules() -> None:
    script = render_hardening_script(Guesthouse(harden=True))
    assert "ufw --force enable" in script
    assert "ufw --force reset" not in script
    assert "PermitRootLogin no" in script
    assert "PermitRootLogin prohibit-password" in render_hardening_script(Guesthouse(harden=True, root_login=True))


def test_beside_other_sites_nginx_is_not_configured_by_the_script() -> None:
    own, beside = render_adoption_script(Guesthouse()), render_adoption_script(Guesthouse(other_sites=True))
    for text in ("/etc/nginx/nginx.conf", "/etc/nginx/sites-enabled/default"):
        assert text in own
        assert text not in beside


@pytest.mark.parametrize("given", [Guesthouse(), Guesthouse(other_sites=True, harden=True, proxy="http://p:3128")])
def test_the_scripts_are_valid_for_a_posix_shell(given: Guesthouse) -> None:
    for script in (render_adoption_script(given), render_hardening_script(given)):
        subprocess.run(["sh", "-n"], input=script, text=True, check=True, timeout=10)


# ------------------------------------------------------------------------------------------------------ the component


USER_KEY = _new_openssh_key()


def existing(**changes: Any) -> ExistingServer:
    args: dict[str, Any] = {"address": "192.0.2.7", "host_key": ED25519, "private_key": USER_KEY, "user": "admin"}
    return ExistingServer("server", {**args, **changes})  # type: ignore[typeddict-item]


def document(recorder: Recorder) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(recorder.input("server-adopt", "stdin"))
    return found


def test_nothing_is_made_but_keys_and_one_command(run: Run) -> None:
    recorder = run(existing)
    assert {name for name in recorder.names if "server" in name} == {
        "server",
        "server-owner",
        "server-keys-deploy",
        "server-adopt",
    }


def test_all_that_is_secret_is_on_stdin_alone(run: Run) -> None:
    recorder = run(lambda: existing(sudo_password="planted-password"))
    assert recorder.is_secret("server-adopt", "stdin")
    found = document(recorder)
    assert found["private_key"] == USER_KEY
    assert found["sudo_password"] == "planted-password"
    assert found["deploy_private"] == "server-keys-deploy-private"
    for key in ("create", "delete"):
        text = recorder.input("server-adopt", key)
        assert "planted-password" not in text
        assert "private" not in text


def test_the_preview_shows_where_and_how(run: Run) -> None:
    recorder = run(existing)
    create = recorder.input("server-adopt", "create")
    assert create.endswith(
        "-m pulumi_slipway.adopt claim  # admin@192.0.2.7:22 (sshd and firewall as they are, on destroy: remove)"
    )
    assert recorder.input("server-adopt", "delete").endswith("-m pulumi_slipway.adopt give-back")


def test_another_host_key_or_address_is_an_update_which_gives_no_machine_back(run: Run) -> None:
    # which a replacement would do with the old one, or with the very machine that it has just set up
    assert list(run(existing).input("server-adopt", "triggers")) == []


def test_the_host_waits_for_the_command_and_holds_no_secret(run: Run) -> None:
    def program() -> None:
        server = existing()
        pulumi.CustomResource("test:index:User", "user", {"host": server.host, "key": server.private_key,
                                                          "grantee": server.grantee})  # fmt: skip

    recorder = run(program)
    assert "server-adopt" in recorder.depends_on("user")
    assert not recorder.is_secret("user", "host")
    assert recorder.is_secret("user", "key")
    assert dict(recorder.input("user", "grantee"))["address"] == "192.0.2.7"


def _with_app(folder: Path, **changes: Any) -> Callable[[], None]:
    def program() -> None:
        server = existing(**changes)
        args: dict[str, Any] = {"host": server.host, "private_key": server.private_key, "path": str(folder)}
        WebApp("app", args | ({"machine": server.machine} if server.machine else {}))  # type: ignore[arg-type]

    return program


def test_apps_give_up_what_is_theirs_before_the_machine_is_given_back(run: Run, app_folder: Path) -> None:
    recorder = run(_with_app(app_folder))
    assert recorder["app-1-claim"].deletedWith == ""
    assert recorder.input("app-1-claim", "delete")
    assert "server-adopt" in recorder.depends_on("app-1-claim")


def test_where_all_is_to_stay_nothing_is_run_at_destroy(run: Run, app_folder: Path) -> None:
    recorder = run(_with_app(app_folder, on_destroy="keep"))
    assert "delete" not in getattr(recorder["server-adopt"], "object")  # noqa: B009
    assert recorder["app-1-claim"].deletedWith.endswith("::server-adopt")


def test_what_hardening_does_is_told_in_the_preview_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", lambda text, *_: said.append(text))
    more = [{"name": "metrics", "port": 9100}]
    run(lambda: existing(harden=True, firewall=more), preview=True)
    assert [text.split(":")[2].strip() for text in said] == [
        "sshd",
        "ufw",
        "security updates are installed automatically",
    ]
    assert "root not at all" in said[0]
    assert "80/tcp, 443/tcp, 9100/tcp" in said[1]
    assert all("120 s" in text for text in said[:2])
    said.clear()
    recorder = run(lambda: existing(harden=True))
    assert said == []
    assert "hardened" in recorder.input("server-adopt", "create")
    run(existing, preview=True)
    assert said == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"address": "pi@home"}, "address: 'pi@home' is no address"),
        ({"port": 0}, "port: 0 is out of range"),
        ({"user": "Me"}, "user: 'Me' is no name"),
        ({"host_key": None}, "host_key: missing; .*hostkey 192.0.2.7`"),
        ({"host_key": None, "port": 2222}, "hostkey 192.0.2.7:2222`"),
        ({"private_key": None}, "private_key: missing; give the key that logs in"),
        ({"private_key": ED25519}, "private_key: this is a public key"),
        ({"ssh_agent": True}, "ssh_agent: true, and a private_key is given, too"),
        ({"ssh_agent": True, "private_key": None}, r"ssh_agent: true, but no agent is running \(SSH_AUTH_SOCK"),
        ({"on_destroy": "purge"}, "on_destroy: 'purge' is neither remove .* nor keep"),
        ({"ready_timeout": 1}, "ready_timeout: 1 seconds are too few"),
        ({"package_index": "pypi"}, "package_index: 'pypi' is no URL"),
        ({"firewall": [{"name": "x", "port": 0}]}, "firewall rule 'x': port 0 is out of range"),
    ],
)
def test_what_cannot_work_is_refused_before_any_resource(
    run: Run, engine: Engine, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(ValueError, match=said):
        run(lambda: existing(**changes))


def test_a_key_that_is_only_known_later_is_checked_then(run: Run) -> None:
    with pytest.raises(Exception, match="this is a public key"):
        run(lambda: existing(private_key=pulumi.Output.secret(ED25519)))
    assert document(run(lambda: existing(private_key=pulumi.Output.secret(USER_KEY))))["private_key"] == USER_KEY


def test_with_an_agent_no_key_is_stored(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    assert document(run(lambda: existing(private_key=None, ssh_agent=True)))["private_key"] == ""


# ------------------------------------------------------------------------------------------------------- the programs


def test_the_firewall_lets_in_at_the_ports_of_sshd_itself_wherever_it_is_reached() -> None:
    request = adopt.Request(
        address="192.0.2.7", port=2222, user="root", private_key="", sudo_password="", host_key=ED25519,
        owner="o", deploy_private="", deploy_public="", harden=True, other_sites=False,
        firewall=[{"name": "ssh", "port": 22, "protocol": "tcp", "sources": ["0.0.0.0/0", "::/0"]},
                  {"name": "http", "port": 80, "protocol": "tcp", "sources": ["0.0.0.0/0", "::/0"]}],
        package_index=None, proxy=None, timeout=60,
    )  # fmt: skip
    house = request.guesthouse([2200])
    assert [(rule.name, rule.port) for rule in house.firewall] == [("ssh", 2200), ("http", 80)]
    assert house.root_login


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("192.0.2.7", ("192.0.2.7", 22)),
        ("192.0.2.7:2222", ("192.0.2.7", 2222)),
        ("pi.local:22", ("pi.local", 22)),
        ("[2001:db8::7]:2222", ("2001:db8::7", 2222)),
        ("[2001:db8::7]", ("2001:db8::7", 22)),
        ("2001:db8::7", ("2001:db8::7", 22)),
    ],
)
def test_the_helper_understands_addresses_with_and_without_a_port(text: str, place: tuple[str, int]) -> None:
    assert hostkey.parse_place(text) == place


@pytest.mark.parametrize("text", ["", "a b", "pi@home", "pi:0", "pi:70000", "pi:ssh", "http://pi"])
def test_the_helper_refuses_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no address|is out of range"):
        hostkey.parse_place(text)


def test_the_helper_prints_what_a_machine_shows_sends_nothing_and_stores_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    private, public = new_key()
    monkeypatch.setenv("HOME", str(tmp_path))
    with SshServer(private, [], lambda _command, _stdin: (0, "", "")) as server:
        monkeypatch.setattr("sys.argv", ["hostkey", f"127.0.0.1:{server.port}"])
        assert hostkey.main() == 0
        assert server.received == []
    printed = capsys.readouterr()
    assert printed.out == f"{public}\n"
    assert parse_host_key("host_key", printed.out) == public
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ecdsa_key.pub" in printed.err
    assert f"pulumi config set --path slipway:existing.host_key '{public}'" in printed.err
    assert "SHA256:" in printed.err
    assert list(tmp_path.iterdir()) == []


def test_the_helper_says_so_when_nobody_answers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["hostkey", "127.0.0.1:9"])
    assert hostkey.main() == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "error: 127.0.0.1:9: " in printed.err
