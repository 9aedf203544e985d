"""Places on a server that both sides know."""

from __future__ import annotations

AGENT = "/usr/local/lib/slipway/agent"
"""What the one sudo rule of the deploy user allows; a link to the agent's version in use."""

INCOMING = "/home/deploy/incoming"
"""Where archives are brought to; the deploy user's own."""
