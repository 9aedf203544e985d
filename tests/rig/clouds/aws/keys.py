"""EC2's key pairs, and what a public key is.

Sources: hashicorp/terraform-provider-aws, `internal/service/ec2/ec2_key_pair.go`; the EC2 user guide, "Amazon EC2 key
pairs" (which kinds, and how fingerprints are made).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import ClassVar

from ...resources import Call
from ...values import Properties
from ..account import Account
from . import api
from .common import AwsResource, all_tags, arn, new_id, refusal


class KeyPair(AwsResource):
    """A public key that new instances let in. Its id is its name."""

    takes = ("keyName", "publicKey", "region", "tags")
    autoname: ClassVar = {"keyName": 255}
    replacing = ("keyName", "publicKey")
    named = True

    def make(self, account: Account, inputs: Properties, call: Call) -> tuple[str, Properties]:
        name, region = inputs["keyName"], inputs["region"]
        doing = f"importing EC2 Key Pair ({name})"
        api.validate(doing, "ec2", "ImportKeyPair", KeyName=name, PublicKeyMaterial=inputs["publicKey"])
        words = inputs["publicKey"].split()
        if len(words) < 2 or words[0] not in ("ssh-rsa", "ssh-ed25519") or not _is_key(*words[:2]):
            raise refusal(doing, "InvalidKey.Format", "Key is not in valid OpenSSH public key format")
        if account.thing(self.key(name, region)) is not None:
            raise refusal(doing, "InvalidKeyPair.Duplicate", f"The keypair '{name}' already exists.")
        attributes = {
            **inputs,
            "publicKey": inputs["publicKey"].strip(),
            "keyNamePrefix": "",
            "keyPairId": new_id("key"),
            "keyType": words[0].removeprefix("ssh-"),
            "fingerprint": fingerprint(inputs["publicKey"]),
            "arn": arn("ec2", region, f"key-pair/{name}"),
            "tagsAll": all_tags(inputs, call),
        }
        return name, self.keep(account, name, region, attributes)


def decoded(text: str) -> bytes | None:
    """What base64 stands for; None when it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


def _is_key(kind: str, blob: str) -> bool:
    data = decoded(blob)
    return data is not None and data[4 : 4 + len(kind)] == kind.encode()


def fingerprint(public_key: str) -> str:
    """As the service tells it of imported keys: MD5 of the DER form of an RSA key, SHA-256 of an ED25519 one."""
    from cryptography.hazmat.primitives import serialization

    kind, blob = public_key.split()[:2]
    if kind != "ssh-rsa":
        return base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode()
    key = serialization.load_ssh_public_key(public_key.encode())
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.md5(der, usedforsecurity=False).hexdigest()
    return ":".join(digest[index : index + 2] for index in range(0, len(digest), 2))
