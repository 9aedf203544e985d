"""The clouds of the rig: accounts, machines, networks and databases that the stand-ins of cloud plug-ins rent out.

An account is a folder (`SLIPWAY_RIG_ACCOUNT`); what is in it is real: machines boot from the very user data, packet
filters stand in front of them, a database speaks TLS. `python -m tests.rig.clouds` shows, deletes and empties.
"""

from __future__ import annotations
