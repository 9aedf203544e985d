"""The rig: a real Pulumi engine where Pulumi's own downloads cannot be reached.

The CLI is built from its Go module (`tools/gobuild.py`); here are the parts that no package registry has: the Python
language host and stand-ins for the plug-ins `command`, `random`, `tls` and, in `clouds`, `aws`, `digitalocean` and
`linode`. Each keeps the documented semantics of the real one, which its tests name with their sources, and refuses what
it does not know; what arguments and outputs there are is read from the installed SDKs (`sdk.py`). Results got with them
are to be called "real engine, stand-in providers".
"""
