"""The stand-in for pulumi-tls against the documentation of the real one and of the provider that it wraps.

Sources: the docstrings of the package pulumi-tls 5.6 ("SDK"); hashicorp/terraform-provider-tls,
`internal/provider/resource_private_key.go` ("TF"). OpenSSH's own ssh-keygen judges the keys.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from . import tls_keys
from .direct import CallFailedError, Direct
from .values import UNKNOWN

KEY = Direct(tls_keys.provider("5.6.2"), "tls:index/privateKey:PrivateKey")


@pytest.mark.parametrize(
    ("inputs", "pem"),
    [
        ({"algorithm": "RSA", "rsaBits": 2048}, "RSA PRIVATE KEY"),
        ({"algorithm": "ECDSA", "ecdsaCurve": "P256"}, "EC PRIVATE KEY"),
        ({"algorithm": "ECDSA", "ecdsaCurve": "P521"}, "EC PRIVATE KEY"),
        ({"algorithm": "ED25519"}, "PRIVATE KEY"),
    ],
)
def test_openssh_agrees_with_every_notation(inputs: dict[str, object], pem: str, tmp_path: Path) -> None:
    """TF: PKCS#1 for RSA, SEC 1 for ECDSA, PKCS#8 for Ed25519; OpenSSH's two forms; both fingerprints."""
    _, outputs = KEY.create(**inputs)
    assert outputs["privateKeyPem"].startswith(f"-----BEGIN {pem}-----\n")
    assert outputs["privateKeyPemPkcs8"].startswith("-----BEGIN PRIVATE KEY-----\n")
    file = tmp_path / "key"
    file.touch(mode=0o600)
    file.write_text(outputs["privateKeyOpenssh"])

    def keygen(*arguments: str) -> str:
        return subprocess.run(["ssh-keygen", *arguments, "-f", file], capture_output=True, text=True, check=True).stdout

    assert keygen("-y").split()[:2] == outputs["publicKeyOpenssh"].split()
    assert outputs["publicKeyOpenssh"].endswith("\n")
    assert keygen("-l").split()[1] == outputs["publicKeyFingerprintSha256"]
    assert keygen("-l", "-E", "md5").split()[1] == f"MD5:{outputs['publicKeyFingerprintMd5']}"


def test_p224_has_no_openssh_forms_and_is_the_default_curve() -> None:
    """SDK: `ecdsa_curve` defaults to P224; TF: OpenSSH's forms are "not populated" for it."""
    _, outputs = KEY.create(algorithm="ECDSA")
    assert outputs["ecdsaCurve"] == "P224"
    assert outputs["privateKeyOpenssh"] == outputs["publicKeyOpenssh"] == ""
    assert outputs["publicKeyFingerprintMd5"] == outputs["publicKeyFingerprintSha256"] == ""


def test_the_id_is_a_sha1_in_hexadecimal() -> None:
    """TF: "hexadecimal representation of the SHA1 checksum of the resource"."""
    identity, _ = KEY.create(algorithm="ED25519")
    assert len(bytes.fromhex(identity)) == 20


def test_any_changed_input_replaces() -> None:
    """TF: RequiresReplace on every input."""
    _, state = KEY.create(algorithm="ECDSA", ecdsaCurve="P256")
    assert KEY.diff(state, algorithm="ECDSA", ecdsaCurve="P256") == {}
    assert KEY.diff(state, algorithm="ECDSA", ecdsaCurve="P384") == {"ecdsaCurve": "UPDATE_REPLACE"}


def test_a_preview_knows_no_key() -> None:
    """Every Pulumi provider: an output that is not made yet is unknown."""
    _, outputs = KEY.create(algorithm="ED25519", preview=True)
    assert outputs["privateKeyPem"] == outputs["publicKeyOpenssh"] == UNKNOWN


def test_unknown_algorithms_and_resource_types_are_refused() -> None:
    """TF: OneOf; DESIGN: a stand-in refuses what it does not know."""
    _, failures = KEY.check(algorithm="DSA")
    assert failures["algorithm"] == "must be one of RSA, ECDSA, ED25519, not 'DSA'"
    with pytest.raises(CallFailedError, match="no resource type tls:index/selfSignedCert:SelfSignedCert"):
        Direct(tls_keys.provider("5.6.2"), "tls:index/selfSignedCert:SelfSignedCert").create()
