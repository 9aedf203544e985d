"""Amazon's authorities, as they are part of the package."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from pulumi_slipway.databases.authorities import authorities, authority_of

REGIONS = ("us-east-1", "us-west-2", "eu-central-1", "eu-west-1", "ap-southeast-2", "sa-east-1", "af-south-1")


def test_there_is_one_for_each_of_the_usual_regions() -> None:
    assert set(REGIONS) <= set(authorities())
    assert len(authorities()) == 27


@pytest.mark.parametrize("region", sorted(authorities()))
def test_each_is_the_self_signed_authority_of_its_region_and_valid_for_long(region: str) -> None:
    (certificate,) = x509.load_pem_x509_certificates(authorities()[region].encode())
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == f"Amazon RDS {region} Root CA RSA2048 G1"
    certificate.verify_directly_issued_by(certificate)
    assert certificate.not_valid_before_utc < datetime(2023, 1, 1, tzinfo=UTC)
    assert certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=365 * 20)
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca) == (True, True)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign


def test_a_database_s_region_is_in_its_arn() -> None:
    assert authority_of("arn:aws:rds:eu-west-1:123456789012:db:shop") == authorities()["eu-west-1"]
    with pytest.raises(ValueError, match="ca_certificate: missing, and that of region 'cn-north-1' is not among"):
        authority_of("arn:aws-cn:rds:cn-north-1:123456789012:db:shop")
