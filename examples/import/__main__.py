"""The guestbook on a server of its own, by Slipway's components."""

import pulumi

from pulumi_slipway import LocalServer, WebApp

server = LocalServer("server")
host = {"host": server.host, "private_key": server.private_key, "machine": server.machine}
app = {"path": "../guestbook", "build": ["pybabel compile -d guestbook/translations"], "release": ["flask db upgrade"]}
guestbook = WebApp("guestbook", {**host, **app, "health": {"path": "/healthz"}})
pulumi.export("url", guestbook.url)
