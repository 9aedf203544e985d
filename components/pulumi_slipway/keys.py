"""The SSH keys of one server: two host keys and the deploy key."""

from __future__ import annotations

import pulumi
import pulumi_tls as tls

from .bootstrap import HostKeyPair


class ServerKeys(pulumi.ComponentResource):
    """The keys that a server and its operator know each other by.

    - `boot` (ECDSA P-256): the host key in the user data, trusted for the first connection only. cloud-init takes
      ECDSA keys in PEM on every version, and another type than the permanent one tells the two apart.
    - `host` (ed25519): the permanent host key, sent over that first connection.
    - `deploy` (ed25519): the key that logs in as `deploy`.

    Each generation of the machine has host keys of its own, so that the old machine cannot pass for the new one; the
    deploy key stays, since it has to open both while data are carried over.
    """

    def __init__(self, name: str, generation: int, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:index:ServerKeys", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.boot = tls.PrivateKey(f"{name}-boot-{generation}", algorithm="ECDSA", ecdsa_curve="P256", opts=child)
        self.host = tls.PrivateKey(f"{name}-host-{generation}", algorithm="ED25519", opts=child)
        self.deploy = tls.PrivateKey(f"{name}-deploy", algorithm="ED25519", opts=child)
        self.register_outputs({})

    @property
    def deploy_private(self) -> pulumi.Output[str]:
        """The deploy key as OpenSSH text (secret)."""
        return pulumi.Output.secret(self.deploy.private_key_openssh)

    @property
    def deploy_public(self) -> pulumi.Output[str]:
        return self.deploy.public_key_openssh.apply(str.strip)

    @property
    def boot_pair(self) -> pulumi.Output[HostKeyPair]:
        """The boot host key (secret)."""
        return _pair(self.boot.private_key_pem, self.boot.public_key_openssh)

    @property
    def host_pair(self) -> pulumi.Output[HostKeyPair]:
        """The permanent host key (secret)."""
        return _pair(self.host.private_key_openssh, self.host.public_key_openssh)


def _pair(private: pulumi.Output[str], public: pulumi.Output[str]) -> pulumi.Output[HostKeyPair]:
    return pulumi.Output.secret(
        pulumi.Output.all(private, public).apply(lambda pair: HostKeyPair(pair[0], pair[1].strip()))
    )
