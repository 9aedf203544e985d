"""The guestbook on a server of its own, by Slipway's components."""

import pulumi

from pulumi_slipway import LocalServer, WebApp

server = LocalServer("server")
host = {"host": server.host, "private_key": server.private_key, "machine": server.machine}
guestbook = WebApp("guestbook", {**host, "path": "../guestbook", "health": {"path": "/healthz"}})
pulumi.export("url", guestbook.url)
