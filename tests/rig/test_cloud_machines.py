"""The clouds' machines are real ones, set up by user data in the form that the service reads."""

from __future__ import annotations

import io
from collections.abc import Iterator

import paramiko
import pytest

from .cloud_probes import account_in, answers, shell
from .clouds import host, machines, network
from .clouds.account import Account, CloudError
from .clouds.filters import Opening
from .clouds.machines import Machine

pytestmark = pytest.mark.long

KEY = paramiko.ECDSAKey.generate()
LINE = f"{KEY.get_name()} {KEY.get_base64()} somebody@home"
SETTLE = "cloud-init status --wait >/dev/null; "


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with account_in(tmp_path_factory.mktemp("cloud") / "account") as account:
        yield account


@pytest.fixture(scope="module")
def instance(account: Account) -> Machine:
    """As EC2 makes them: cloud-config, keys for the image's default user."""
    text = "#cloud-config\nruncmd: ['echo ran >> /root/runs']\n"
    return machines.create(account, cloud="ec2", user_data=text, login="admin", public_keys=[LINE])


@pytest.fixture(scope="module")
def address(account: Account, instance: Machine) -> str:
    """A public address of it."""
    address = network.reserve(account)
    network.assign(account, address, instance.name)
    return address


def _log_in(address: str, user: str, command: str) -> str:
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # noqa: S507 - a machine of this test
    client.connect(address, username=user, pkey=KEY, timeout=10, look_for_keys=False, allow_agent=False)
    with client:
        return client.exec_command(command)[1].read().decode()


def test_keys_are_for_the_images_default_user_who_may_do_all(account: Account, instance: Machine, address: str) -> None:
    shell(account, instance, SETTLE)
    assert _log_in(address, "admin", "sudo id -un; hostname") == f"root\n{instance.name}\n"
    with pytest.raises((paramiko.AuthenticationException, paramiko.SSHException)):
        _log_in(address, "debian", "true")


def test_a_machine_makes_host_keys_of_its_own(account: Account, instance: Machine) -> None:
    shell(account, instance, SETTLE)
    kinds = shell(account, instance, "cut -d' ' -f1 /etc/ssh/ssh_host_*_key.pub")
    assert "ssh-ed25519" in kinds.split()


def test_user_data_run_once_and_a_stopped_machine_keeps_its_disk_and_address(
    account: Account, instance: Machine, address: str
) -> None:
    shell(account, instance, SETTLE)
    network.set_filter(account, instance.name, [])  # not even the driver's own look passes but at the start
    machines.stop(account, instance.name)
    stopped = machines.get(account, instance.name)
    assert stopped is not None
    assert (stopped.running, stopped.address) == (False, instance.address)
    assert machines.start(account, instance.name) == instance
    assert not answers(address, 22)
    network.set_filter(account, instance.name, None)
    assert answers(address, 22)
    assert shell(account, instance, SETTLE + "cat /root/runs") == "ran\n"


def test_user_data_may_bring_the_host_keys_and_keys_may_be_for_root(account: Account) -> None:
    own = paramiko.ECDSAKey.generate()
    private = _private(own).replace("\n", "\n    ")
    text = (
        f"#cloud-config\nssh_deletekeys: true\nssh_keys:\n  ecdsa_private: |\n    {private}\n"
        f"  ecdsa_public: {own.get_name()} {own.get_base64()}\n"
    )
    droplet = machines.create(
        account, cloud="digitalocean", user_data=text, login="root", public_keys=[LINE], hostname="Web 1.example.org"
    )
    address = network.reserve(account)
    network.assign(account, address, droplet.name)
    shell(account, droplet, SETTLE)
    assert _log_in(address, "root", "id -un; hostname") == "root\nweb-1-example-org\n"
    with paramiko.Transport((address, 22)) as transport:
        transport.start_client(timeout=10)
        assert transport.get_remote_server_key() == own


def _private(key: paramiko.ECDSAKey) -> str:
    text = io.StringIO()
    key.write_private_key(text)
    return text.getvalue().strip()


def test_a_launch_script_is_one_line_of_shell_that_root_runs_once(account: Account) -> None:
    text = "echo $(id -un) $(ps -o comm= $PPID) >> /root/ran; echo '#cloud-config' {hostname: never}"
    made = machines.create(account, cloud="lightsail", user_data=text, form="script", hostname="lightsail")
    assert shell(account, made, SETTLE + "cat /root/ran; hostname") == "root cloud-init\nlightsail\n"
    machines.stop(account, made.name)
    machines.start(account, made.name)
    assert shell(account, made, SETTLE + "cat /root/ran") == "root cloud-init\n"


def test_cloud_config_as_a_launch_script_is_a_comment_of_the_shell(account: Account) -> None:
    made = machines.create(account, cloud="lightsail", user_data="#cloud-config {hostname: never}", form="script")
    assert shell(account, made, SETTLE + "hostname") == f"{made.name}\n"


def test_several_lines_are_no_launch_script(account: Account) -> None:
    before = account.read()["machines"]
    with pytest.raises(CloudError, match="a single line of shell"):
        machines.create(account, cloud="lightsail", user_data="#cloud-config\n{}\n", form="script")
    assert account.read()["machines"] == before


def test_what_fails_leaves_nothing(account: Account) -> None:
    before = account.read()["machines"]
    with pytest.raises(CloudError, match="is no public SSH key on one line"):
        machines.create(account, cloud="ec2", public_keys=["ssh-ed25519"])
    assert account.read()["machines"] == before


def test_a_machine_that_is_removed_behind_the_clouds_back_is_gone(account: Account) -> None:
    made = machines.create(account, cloud="linode", login="root", incoming=[Opening("tcp", 22, 22)])
    assert machines.get(account, made.name) == made
    host.drive("remove", made.name)
    assert machines.get(account, made.name) is None
    machines.remove(account, made.name)
    machines.remove(account, made.name)
    assert made.name not in account.read()["machines"]


@pytest.mark.parametrize(
    ("text", "name"), [("Web_1.example.org", "web-1-example-org"), ("---", "machine"), ("x" * 80, "x" * 63)]
)
def test_any_text_makes_a_host_name(text: str, name: str) -> None:
    assert machines.host_name(text) == name
