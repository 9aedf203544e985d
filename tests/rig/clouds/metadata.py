"""The metadata service at 169.254.169.254, for the machines of an account, each in the manner of its cloud.

What it serves comes from `machines.create(metadata={…})`; all keys are optional:

`instance_id`, `hostname`, `region`, `key_name` (EC2), `image`, `type`, `tags` (list), `label` (Linode),
`http_tokens` (required | optional; EC2, Lightsail), `http_put_response_hop_limit`, `http_endpoint` (enabled | disabled).
User data, public keys and addresses are the machine's own.
"""

from __future__ import annotations
