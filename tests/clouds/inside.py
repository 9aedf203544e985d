"""What is done from within the server of a stack: listeners, the app's own view of its database."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.machines import Machine

_LISTEN = """
import socket, time
held = []
for port in {ports}:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        one.bind(("0.0.0.0", port))
    except OSError:  # a server of the machine's own has it
        continue
    one.listen()
    held.append(one)
time.sleep(60)
"""

_CONNECT = """
import os, sqlalchemy
url = sqlalchemy.make_url(os.environ["DATABASE_URL"])
if {other!r}:
    query = {{key: {other!r} if value == os.environ["DATABASE_CA"] else value for key, value in url.query.items()}}
    url = url.set(query=query)
with sqlalchemy.create_engine(url).connect() as connection:
    print(connection.execute(sqlalchemy.text("select 1")).scalar())
"""


@contextmanager
def listeners(machine: Machine, ports: Sequence[int]) -> Iterator[None]:
    """Something listens on all these ports, on every address of the machine."""
    machine.root_shell(
        'systemd-run --quiet --collect --unit=test-listeners /usr/bin/python3 -c "$(cat)"; sleep 0.5',
        _LISTEN.format(ports=list(ports)),
    )
    try:
        yield
    finally:
        machine.root_shell("systemctl stop test-listeners", check=False)


def reaches(machine: Machine, host: str, port: int) -> bool:
    """Whether a connection from the machine to there is accepted."""
    return machine.root_run(["timeout", "4", "bash", "-c", f": < /dev/tcp/{host}/{port}"]).returncode == 0


def variables(machine: Machine) -> dict[str, str]:
    """The variables of the live release, as its processes have them."""
    text = machine.root_shell(
        'pid=$(pgrep -u guestbook -o gunicorn || pgrep -u guestbook -o python); tr "\\0" "\\n" < /proc/$pid/environ'
    )
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def connect(machine: Machine, *, other_ca: bool = False) -> str:
    """What the database answers to the app's own user, environment and libraries; `other_ca`: trusting another CA."""
    other = ""
    if other_ca:
        other = "/tmp/other-ca.pem"
        machine.root_shell(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -days 2 "
            f"-keyout /dev/null -out {other} 2>/dev/null; chmod 0644 {other}"
        )
    environment = json.dumps(variables(machine))
    starter = (
        "import json, os, subprocess, sys; e, code = json.load(sys.stdin); "
        "sys.exit(subprocess.run(['setpriv', '--reuid=guestbook', '--regid=guestbook', '--clear-groups',"
        " '/srv/guestbook/live/venv/bin/python', '-c', code], env=e).returncode)"
    )
    done = machine.root_run(
        ["/usr/bin/python3", "-c", starter],
        json.dumps([json.loads(environment), _CONNECT.format(other=other)]),
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
