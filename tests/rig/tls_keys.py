"""A stand-in for pulumi-tls: private keys, in all the notations that the real one answers."""

from __future__ import annotations

import base64
import hashlib
from typing import ClassVar, NoReturn

from .provider import Call, Provider, Resource, serve_provider
from .shapes import Input, Shape
from .values import Properties

CURVES = ("P224", "P256", "P384", "P521")


class PrivateKey(Resource):
    """A key pair of RSA, ECDSA or Ed25519; any change of an input makes a new one."""

    inputs: ClassVar[Shape] = {
        "algorithm": Input("string", required=True, one_of=("RSA", "ECDSA", "ED25519")),
        "ecdsaCurve": Input("string", default="P224", one_of=CURVES),
        "rsaBits": Input("integer", default=2048),
    }
    outputs = (
        "privateKeyOpenssh",
        "privateKeyPem",
        "privateKeyPemPkcs8",
        "publicKeyFingerprintMd5",
        "publicKeyFingerprintSha256",
        "publicKeyOpenssh",
        "publicKeyPem",
    )

    def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

        pem = serialization.Encoding.PEM
        plain = serialization.NoEncryption()
        private = serialization.PrivateFormat
        traditional = private.TraditionalOpenSSL
        key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
        if inputs["algorithm"] == "RSA":
            key = rsa.generate_private_key(65537, inputs["rsaBits"])
        elif inputs["algorithm"] == "ECDSA":
            curves = dict(zip(CURVES, (ec.SECP224R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1), strict=True))
            key = ec.generate_private_key(curves[inputs["ecdsaCurve"]]())
        else:
            key = ed25519.Ed25519PrivateKey.generate()
            traditional = private.PKCS8  # there is no older form of these
        public_pem = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        outputs = {
            **inputs,
            "privateKeyPem": key.private_bytes(pem, traditional, plain).decode(),
            "privateKeyPemPkcs8": key.private_bytes(pem, private.PKCS8, plain).decode(),
            "publicKeyPem": public_pem,
            **dict.fromkeys(
                ("privateKeyOpenssh", "publicKeyOpenssh", "publicKeyFingerprintMd5", "publicKeyFingerprintSha256"),
                "",
            ),
        }
        if (inputs["algorithm"], inputs["ecdsaCurve"]) != ("ECDSA", "P224"):  # OpenSSH has no such keys
            line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
            blob = base64.b64decode(line.split()[1])
            outputs |= {
                "privateKeyOpenssh": key.private_bytes(pem, private.OpenSSH, plain).decode(),
                "publicKeyOpenssh": line.decode() + "\n",
                "publicKeyFingerprintMd5": hashlib.md5(blob, usedforsecurity=False).digest().hex(":"),
                "publicKeyFingerprintSha256": "SHA256:"
                + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("="),
            }
        return hashlib.sha1(public_pem.encode(), usedforsecurity=False).hexdigest(), outputs


def provider(version: str) -> Provider:
    """The provider under the SDK's type tokens."""
    return Provider("tls", version, {"tls:index/privateKey:PrivateKey": PrivateKey()})


def serve(address: str, version: str) -> NoReturn:
    """What the launcher calls."""
    serve_provider(provider(version), address)
