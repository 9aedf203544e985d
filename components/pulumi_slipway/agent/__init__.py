"""The agent: Slipway's program on a server.

It is shipped as one file (see `pulumi_slipway.agent_bundle`), runs as root through one sudo rule, needs nothing but
the server's own Python (3.11 or newer), and imports nothing of the package around it. It is no daemon: each command
reads one JSON document, does its work under a lock, and leaves files behind that say how things stand. Any of its
commands may be killed at any moment and run again; what serves keeps serving meanwhile.
"""
