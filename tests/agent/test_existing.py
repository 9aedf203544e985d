"""A machine that somebody has becomes a server and is given back: real machines, the program as Pulumi starts it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_slipway.app.site import SiteSpec, render_site
from pulumi_slipway.places import AGENT
from pulumi_slipway.ssh import RefusedKeyError, SshError, connect
from tests.agent.guesthouse import PASSWORD, Guesthouse, guesthouse
from tests.agent.server import OWNER, App, Server, key_pair, source

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guesthouse]:
    """Debian 12 with only sshd, and a user `admin` whom sudo asks for a password."""
    with guesthouse(tmp_path_factory.mktemp("plain"), debian=12, sudo="asks") as found:
        yield found


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guesthouse]:
    """Debian 13 with nginx and its welcome page, ufw that is off, and a user `admin` whom sudo asks for nothing."""
    with guesthouse(tmp_path_factory.mktemp("furnished"), sudo="free", plain=False) as found:
        yield found


def _adopted(house: Guesthouse, **changes: object) -> Server:
    done = house.adopt(**changes)
    assert done.returncode == 0, done.stderr
    assert "Debian" in json.loads(done.stdout)["os"]
    return Server(house.box)


def _given_back(house: Guesthouse, **changes: object) -> str:
    done = house.adopt("give-back", **changes)
    assert done.returncode == 0, done.stderr
    return done.stderr


def _welcomes(house: Guesthouse) -> bool:
    return "Welcome to nginx" in house.shell(
        "python3 -c 'import urllib.request as r; print(r.urlopen(\"http://127.0.0.1\").read().decode())' 2>&1",
        check=False,
    )


# --------------------------------------------------------------------------------------------- becoming, giving back


def test_a_plain_machine_serves_an_app_and_is_given_back_as_it_was_but_for_packages_and_data(plain: Guesthouse) -> None:
    plain.shell("test ! -e /usr/sbin/nginx -a ! -e /usr/bin/git")
    before = plain.state()
    server = _adopted(plain)
    app = App(server, "shop")
    app.claim()
    app.site()
    app.release("r1", source("hello"))
    assert server.text() == "hello"
    plain.shell("su -s /bin/sh shop -c 'echo a precious row > /srv/shop/shared/data/rows'")
    # sshd and the firewall are as their owner has them
    assert [line for line in plain.differences(before) if "sshd" in line or "packets" in line] == []

    assert _adopted(plain).text() == "hello", "it may be run again at any time"

    server.agent("remove", {"app": "shop", "owner": OWNER, "keep_data": True})  # as the app's own destroy does
    said = _given_back(plain)
    found = plain.differences(before)
    kept = plain.shell("find /home/admin/slipway-kept -type f").strip()
    assert kept.startswith("/home/admin/slipway-kept/shop-")
    assert kept.endswith("/data/rows")
    assert plain.shell(f"cat {kept}; stat -c %U {kept}").split("\n")[:2] == ["a precious row", "admin"]
    assert f"the data of shop are kept in {Path(kept).parents[1]}" in said
    assert [line for line in found if "/home/admin/slipway-kept" not in line] == []
    assert len(found) == 5, "the folders slipway-kept, shop-…, data, media, and the file"
    assert "apt-get purge" in said
    plain.shell("rm -r /home/admin/slipway-kept")
    assert plain.differences(before) == []
    assert "nothing on this machine" in _given_back(plain)


def test_apps_that_are_left_go_with_the_machine_and_their_data_stay(plain: Guesthouse) -> None:
    before = plain.state()
    server = _adopted(plain)
    for name in ("full", "empty"):
        App(server, name).claim()
    plain.shell("echo row > /srv/full/shared/data/rows")
    for name, made in (("full", "CREATE TABLE visits(at)"), ("empty", "PRAGMA user_version")):
        script = (
            f"import sqlite3 as s; d = s.connect('/srv/{name}/shared/data/{name}.db'); "
            f"d.execute('PRAGMA journal_mode=wal'); d.execute('VACUUM'); d.execute('{made}'); d.commit()"
        )
        plain.box.root_run(["python3", "-c", script])
        plain.shell(f"test -s /srv/{name}/shared/data/{name}.db")
    said = _given_back(plain)
    assert "the data of full are kept in /home/admin/slipway-kept/full-" in said
    assert "the data of empty" not in said
    assert plain.shell("cat /home/admin/slipway-kept/full-*/data/rows").strip() == "row"
    plain.shell("test -s /home/admin/slipway-kept/full-*/data/full.db")
    plain.shell("rm -r /home/admin/slipway-kept")
    assert plain.differences(before) == []


def test_a_machine_with_nginx_and_its_welcome_page_gets_them_back(furnished: Guesthouse) -> None:
    assert _welcomes(furnished)
    before = furnished.state()
    server = _adopted(furnished)
    app = App(server, "shop")
    app.claim()
    app.site()
    app.release("r1", source("hello"))
    assert server.text() == "hello"
    assert not _welcomes(furnished)
    _given_back(furnished)
    assert _welcomes(furnished)
    assert furnished.differences(before) == []


def test_what_its_owner_changed_meanwhile_stays(furnished: Guesthouse) -> None:
    before = furnished.state()
    _adopted(furnished)
    furnished.shell("echo '# my own line' >> /etc/nginx/nginx.conf")
    said = _given_back(furnished)
    assert "/etc/nginx/nginx.conf was changed by somebody since: it stays" in said
    assert "my own line" in furnished.shell("cat /etc/nginx/nginx.conf")
    # what it was is in the home, and that is what puts it right
    furnished.shell("cp /home/admin/slipway-kept/before-etc-nginx-nginx.conf /etc/nginx/nginx.conf; chmod 644 "
                    "/etc/nginx/nginx.conf; rm -r /home/admin/slipway-kept")  # fmt: skip
    assert furnished.differences(before) == []


def test_a_server_that_somebody_uses_by_then_is_left_on(plain: Guesthouse) -> None:
    before = plain.state()
    _adopted(plain)
    plain.shell(
        "printf 'server { listen 8080; location / { return 200 mine; } }' > /etc/nginx/sites-enabled/mine; "
        "systemctl reload nginx"
    )
    assert "nginx.service goes on: it serves somebody else by now" in _given_back(plain)
    look = "python3 -c 'import urllib.request as r; print(r.urlopen(\"http://127.0.0.1:8080\").read().decode())'"
    assert plain.shell(look).strip() == "mine"
    plain.shell("systemctl disable --now nginx; rm /etc/nginx/sites-enabled/mine")
    assert plain.differences(before) == []


# --------------------------------------------------------------------------------------------------- other sites


_OTHER_SITE = """
mkdir -p /var/www/other && echo 'the other site' > /var/www/other/index.html
printf 'server { listen 80; server_name other.example; root /var/www/other; }' > /etc/nginx/sites-enabled/other.conf
rm -f /etc/nginx/sites-enabled/default
systemctl reload nginx
"""


@pytest.fixture
def shared(furnished: Guesthouse) -> Iterator[Guesthouse]:
    """The machine serves somebody's site, which is also the default."""
    furnished.shell(_OTHER_SITE)
    yield furnished
    furnished.shell(
        "rm -r /var/www/other /etc/nginx/sites-enabled/other.conf; systemctl reload nginx; "
        "ln -s /etc/nginx/sites-available/default /etc/nginx/sites-enabled/default; systemctl reload nginx"
    )


def _site_request(app: App, name: str) -> dict[str, object]:
    files = render_site(SiteSpec(app.name, [name]))
    written = {path: {"content": file.content, "mode": file.mode} for path, file in files.items()}
    return {
        "app": app.name, "owner": OWNER, "serial": 1, "files": written,
        "certificate": {"names": [name], "addresses": []},
    }  # fmt: skip


def _plainly(house: Guesthouse, host: str) -> str:
    """What port 80 says to a visitor of this name."""
    return subprocess.run(
        ["curl", "-s", "--max-time", "5", "-H", f"Host: {host}", f"http://{house.box.address}/"],
        capture_output=True, text=True, check=False, timeout=10,
    ).stdout.strip()  # fmt: skip


def test_beside_another_site_it_is_refused_unless_told_and_nothing_is_left(shared: Guesthouse) -> None:
    before = shared.state()
    done = shared.adopt()
    assert done.returncode == 1
    assert "sites of somebody else's (/etc/nginx/sites-enabled/other.conf): set other_sites to true" in done.stderr
    assert shared.differences(before) == []


def test_told_so_the_other_site_is_left_alone_all_the_way(shared: Guesthouse) -> None:
    before = shared.state()
    main = "systemctl show --property=MainPID --value nginx"
    started = shared.shell(main)
    server = _adopted(shared, other_sites=True)
    app = App(server, "app")  # its file would come before that of the other site, by its name
    app.claim()
    server.agent("site", _site_request(app, "app.example"))
    app.release("r1", source("hello"), static=None)

    assert server.get(host="app.example")[1] == "hello"
    assert _plainly(shared, "other.example") == "the other site"
    assert _plainly(shared, "unknown.example") == "the other site", "it stays the default"
    changed = shared.differences(before)
    assert [line for line in changed if "/etc/nginx/nginx.conf" in line or "sites-enabled/other" in line] == []
    assert shared.shell("ls /etc/systemd/system/nginx.service.d 2>/dev/null; true") == ""
    assert shared.shell(main) == started, "nginx was restarted"

    _given_back(shared)
    assert _plainly(shared, "other.example") == "the other site"
    assert shared.shell(main) == started
    assert shared.differences(before) == []


def test_an_nginx_that_would_not_read_our_files_is_refused(shared: Guesthouse) -> None:
    shared.shell("sed -i.original '\\|sites-enabled|d' /etc/nginx/nginx.conf; mv /etc/nginx/sites-enabled/other.conf "
                 "/etc/nginx/conf.d/other.conf; nginx -t -q")  # fmt: skip
    try:
        done = shared.adopt(other_sites=True)
        assert done.returncode == 1
        assert "add `include /etc/nginx/sites-enabled/*;` to the http section of /etc/nginx/nginx.conf" in done.stderr
    finally:
        shared.shell("mv /etc/nginx/nginx.conf.original /etc/nginx/nginx.conf; "
                     "mv /etc/nginx/conf.d/other.conf /etc/nginx/sites-enabled/other.conf; nginx -t -q")  # fmt: skip


def test_another_web_server_and_a_user_in_the_way_are_refused(furnished: Guesthouse) -> None:
    before = furnished.state()
    furnished.shell("systemctl stop nginx; systemd-run --quiet --unit=other-web python3 -m http.server 80; sleep 1")
    try:
        done = furnished.adopt()
        assert done.returncode == 1
        assert "port 80 is in use by python3: Slipway serves by nginx" in done.stderr
    finally:
        furnished.shell("systemctl stop other-web; systemctl start nginx")
    furnished.shell("useradd --create-home deploy")
    try:
        done = furnished.adopt()
        assert done.returncode == 1
        assert "a user 'deploy' that is not Slipway's exists on this machine" in done.stderr
    finally:
        furnished.shell("userdel -r deploy 2>/dev/null")
    assert furnished.differences(before) == []


# ------------------------------------------------------------------------------------------- who may log in, and sudo


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sudo_password": ""}, "set sudo_password (as a secret)"),
        ({"sudo_password": "wrong horse"}, "sudo_password: (hidden) does not make admin root"),
        ({"user": "nobody-here"}, "does not accept the key for user 'nobody-here'"),
    ],
)
def test_a_login_that_does_not_do_is_told_and_changes_nothing(
    plain: Guesthouse, changes: dict[str, str], said: str
) -> None:
    before = plain.state()
    done = plain.adopt(**changes)
    assert done.returncode == 1
    assert said in done.stderr
    assert "wrong horse" not in done.stderr
    assert plain.differences(before) == []


def test_another_host_key_ends_it_before_anything_is_sent(plain: Guesthouse, tmp_path: Path) -> None:
    other = key_pair(tmp_path, "ed25519").public
    done = plain.adopt(host_key=" ".join(other.split()[:2]))
    assert done.returncode == 1
    assert "Nothing was sent to it" in done.stderr


def test_the_password_and_the_keys_are_nowhere_on_the_machine(plain: Guesthouse) -> None:
    _adopted(plain)
    secret = plain.request.private_key.splitlines()[2]
    deploy = plain.request.deploy_private.splitlines()[2]
    search = (
        f"grep -rlF -e '{PASSWORD}' -e '{secret}' -e '{deploy}' /etc /var /home /root /run /opt /usr/local 2>/dev/null"
    )
    found = plain.shell(f"{search} | grep -v -e /var/lib/cloud -e /run/cloud-init || true", timeout=120)
    assert found == ""
    assert PASSWORD not in plain.shell("journalctl --no-pager | cat", timeout=60)
    _given_back(plain)


def test_the_keys_of_an_agent_do_as_well(furnished: Guesthouse, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(furnished.request.private_key)
    key.chmod(0o600)
    other = key_pair(tmp_path, "ed25519")
    (tmp_path / "other").write_text(other.private)
    (tmp_path / "other").chmod(0o600)
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        environment = {"SSH_AUTH_SOCK": str(socket)}
        _wait_for(socket)
        for file in (tmp_path / "other", key):  # one that is refused comes first
            subprocess.run(["ssh-add", "-q", str(file)], env={**environment, "PATH": "/usr/bin:/bin"}, check=True,
                           capture_output=True)  # fmt: skip
        done = furnished.adopt(private_key="", environment=environment)
        assert done.returncode == 0, done.stderr
        done = furnished.adopt("give-back", private_key="", environment=environment)
        assert done.returncode == 0, done.stderr
    finally:
        agent.kill()
        agent.wait(10)
    done = furnished.adopt(private_key="", environment={"SSH_AUTH_SOCK": str(tmp_path / "none")})
    assert "no ssh-agent with a key in it is running" in done.stderr


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 5
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# ------------------------------------------------------------------------------------------------- what goes wrong


def test_a_set_up_that_fails_is_taken_back(furnished: Guesthouse) -> None:
    before = furnished.state()
    furnished.shell("printf '#!/bin/sh\\necho no more room for users >&2; exit 1' > /usr/local/sbin/useradd; "
                    "chmod 755 /usr/local/sbin/useradd")  # fmt: skip
    try:
        done = furnished.adopt()
    finally:
        furnished.shell("rm /usr/local/sbin/useradd")
    assert done.returncode == 1
    assert "no more room for users" in done.stderr
    assert furnished.differences(before) == []


def test_a_deploy_user_whom_sshd_keeps_out_is_told_and_the_machine_given_back(furnished: Guesthouse) -> None:
    before = furnished.state()
    furnished.shell("echo 'AllowUsers admin' > /etc/ssh/sshd_config.d/mine.conf; systemctl reload ssh")
    try:
        done = furnished.adopt()
        assert done.returncode == 1
        assert "does not let deploy in" in done.stderr
        assert "AllowUsers" in done.stderr
    finally:
        furnished.shell("rm /etc/ssh/sshd_config.d/mine.conf; systemctl reload ssh")
    assert furnished.differences(before) == []


@pytest.mark.parametrize("moment", ["adopt", "give-back"])
def test_killed_on_the_way_the_next_run_comes_to_its_end(furnished: Guesthouse, moment: str) -> None:
    before = furnished.state()
    if moment == "give-back":
        _adopted(furnished)
    killed = 0
    for pause in (0.0, 0.4, 1.5):
        # the agent's own command line, and not that of the shell that looks for it
        killer = f"(until pkill -9 -f 'agent.pyz [{moment[0]}]{moment[1:]}'; do sleep 0.05; done; date > /run/killed)"
        furnished.shell(f'rm -f /run/killed; (sleep {pause}; timeout 20 sh -c "{killer}") >/dev/null 2>&1 &')
        furnished.adopt("claim" if moment == "adopt" else "give-back")
        killed += int(furnished.shell("test -e /run/killed && echo 1 || echo 0"))
        furnished.shell("pkill -f '[u]ntil pkill' || true")
    assert killed > 0
    if moment == "adopt":
        _adopted(furnished)
    _given_back(furnished)
    assert furnished.differences(before) == []


def test_a_machine_that_does_not_answer_is_an_error_unless_it_is_to_be_forgotten(furnished: Guesthouse) -> None:
    closed = {"port": 9, "timeout": 10}
    began = time.monotonic()
    done = furnished.adopt("give-back", **closed)
    assert done.returncode == 1
    assert "SLIPWAY_DELETE_UNREACHABLE=true" in done.stderr
    assert time.monotonic() - began < 60
    done = furnished.adopt("give-back", environment={"SLIPWAY_DELETE_UNREACHABLE": "true"}, **closed)
    assert done.returncode == 0
    assert "forgotten without being given back" in done.stderr


def test_a_machine_that_was_installed_anew_has_nothing_to_give_back(furnished: Guesthouse, tmp_path: Path) -> None:
    former = " ".join(key_pair(tmp_path, "ed25519").public.split()[:2])
    done = furnished.adopt("give-back", host_key=former)
    assert done.returncode == 0
    assert "nothing is left to give back" in done.stderr


# ------------------------------------------------------------------------------------------------------ several stacks


def test_two_stacks_may_use_a_machine_and_the_last_one_gives_it_back(furnished: Guesthouse, tmp_path: Path) -> None:
    before = furnished.state()
    pair = key_pair(tmp_path, "ed25519")
    second = {"owner": "stack-two", "deploy_private": pair.private, "deploy_public": pair.public}
    _adopted(furnished)
    _adopted(furnished, **second)
    App(Server(furnished.box), "theirs").claim()

    assert "another stack uses this machine" in _given_back(furnished)
    furnished.shell("test -d /srv/theirs")
    _observe(furnished, pair.private)
    with pytest.raises(RefusedKeyError):
        _observe(furnished, furnished.request.deploy_private)

    _given_back(furnished, **second)
    assert furnished.differences(before) == []


def _observe(house: Guesthouse, key: str) -> None:
    with connect(house.box.address, 22, "deploy", key, [house.request.host_key]) as connection:
        assert connection.run(f"sudo -n {AGENT} observe", "{}").status == 0


# ------------------------------------------------------------------------------------------- small and other machines


def test_where_memory_is_small_there_is_swap_and_it_goes_again(furnished: Guesthouse) -> None:
    """These machines may have no swap of their own: the programs that would make it are replaced, and asked later."""
    before = furnished.state()
    shims = {
        "awk": 'echo "MemTotal: 490000 kB" | exec /usr/bin/awk "$1"',
        "swapon": "case $1 in --show*) cat /run/swaps 2>/dev/null;; *) echo $1 > /run/swaps;; esac",
        "swapoff": "rm /run/swaps",
        "mkswap": "true",
    }
    for name, text in shims.items():
        place = f"/usr/local/sbin/{name}"
        furnished.box.root_shell(f"cat > {place} && chmod 755 {place}", f"#!/bin/sh\n{text}\n")
    try:
        _adopted(furnished)
        assert furnished.shell("cat /run/swaps").strip() == "/swapfile.slipway"
        assert furnished.shell("stat -c '%s %a' /swapfile.slipway").split() == [str(1 << 30), "600"]
        assert furnished.shell("grep -c '^/swapfile.slipway none swap' /etc/fstab").strip() == "1"
        furnished.shell("echo '# a line of its owner' >> /etc/fstab")
        assert "the swap file is gone" in _given_back(furnished)
        furnished.shell("test ! -e /swapfile.slipway -a ! -e /run/swaps")
        assert furnished.shell("tail -n 1 /etc/fstab").strip() == "# a line of its owner"
    finally:
        furnished.shell("cd /usr/local/sbin; rm -f awk swapon swapoff mkswap /run/swaps; "
                        "sed -i '/^# a line of its owner/d' /etc/fstab")  # fmt: skip
    assert [line for line in furnished.differences(before) if "/etc/fstab" not in line] == []


def test_on_raspberry_pi_os_for_32_bits_uv_is_told_of_the_wheels_that_pip_knows_of(furnished: Guesthouse) -> None:
    """What answers for the architecture is replaced: there is no such machine here."""
    before = furnished.state()
    furnished.shell(
        'printf \'#!/bin/sh\\n[ "$1" = --print-architecture ] && { echo armhf; exit; }\\nexec /usr/bin/dpkg "$@"\' '
        "> /usr/local/bin/dpkg; chmod 755 /usr/local/bin/dpkg; cp -a /etc/pip.conf /root/pip.conf; "
        "printf 'extra-index-url = https://wheels.example.org/simple\\n' >> /etc/pip.conf"
    )
    try:
        # pip itself would ask that index: what it is asked for is there already
        furnished.shell("mkdir -p /opt/slipway/uv/bin && ln -s /bin/true /opt/slipway/uv/bin/uv")
        for _ in range(2):
            _adopted(furnished)
            assert furnished.shell("grep . /etc/slipway/environment").split() == [
                "UV_INDEX=https://wheels.example.org/simple",
                "UV_INDEX_STRATEGY=unsafe-best-match",
            ]
        _given_back(furnished)
    finally:
        furnished.shell("rm -f /usr/local/bin/dpkg; rm -rf /opt/slipway; mv /root/pip.conf /etc/pip.conf")
    assert furnished.differences(before) == []


def test_a_machine_without_python_gets_it_first(plain: Guesthouse) -> None:
    before = plain.state()
    plain.shell(
        "DEBIAN_FRONTEND=noninteractive apt-get -qq purge --autoremove -y 'python3*' libpython3-stdlib", timeout=120
    )
    plain.shell("test ! -e /usr/bin/python3")
    gone = set(plain.shell("dpkg-query -W -f='${Package}\\n'").split())
    done = plain.adopt()
    assert done.returncode == 0, done.stderr
    assert "installing Python" in done.stderr
    record = json.loads(plain.shell("cat /var/lib/slipway/adopted.json"))
    assert "python3" in record["installed"]
    assert {name.partition(":")[0] for name in record["before"]["packages"]} <= gone
    _given_back(plain)
    left = [line for line in plain.differences(before) if "/var/lib/slipway" in line or " user " in line]
    assert left == []


def test_a_silent_or_closed_port_is_told_within_its_patience(furnished: Guesthouse) -> None:
    with pytest.raises(SshError), connect(furnished.box.address, 9, "deploy", furnished.request.deploy_private,
                                          [furnished.request.host_key], timeout=2):  # fmt: skip
        pass
