"""Each mistake in the settings gets one line with key, value and remedy."""

from __future__ import annotations

import pytest

from pulumi_slipway.settings import SettingsError, parse_settings

GOOD = {"target": "local", "app": {"path": "examples/guestbook"}}


def complaint(**changes: object) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_settings({**GOOD, **changes})
    return str(caught.value)


def test_the_smallest_settings_are_a_target_and_a_path() -> None:
    settings = parse_settings(dict(GOOD))
    assert settings.app.path == "examples/guestbook"
    assert settings.database.kind == "sqlite"
    assert settings.app.keep == 5


def test_an_unknown_setting_is_told_with_the_nearest_known_one() -> None:
    assert "slipway:genration: unknown setting; did you mean 'generation'?" in complaint(genration=2)


def test_an_unknown_setting_within_another_is_told_with_its_whole_key() -> None:
    text = complaint(app={"path": "x", "health": {"pth": "/"}})
    assert "slipway:app.health.pth: unknown setting; did you mean 'path'?" in text


def test_a_wrong_type_is_told_with_its_value() -> None:
    assert "slipway:generation: 'two' does not fit" in complaint(generation="two")


def test_all_mistakes_are_told_at_once() -> None:
    text = complaint(target="moon", generation=0)
    assert "slipway:target: 'moon'" in text
    assert "slipway:generation: 0" in text


def test_a_missing_app_is_told() -> None:
    with pytest.raises(SettingsError, match="slipway:app: missing"):
        parse_settings({"target": "local"})


def test_the_value_of_a_variable_is_never_shown() -> None:
    text = complaint(environment={"TOKEN": 12345678})
    assert "slipway:environment.TOKEN" in text
    assert "12345678" not in text


def test_a_private_key_among_the_admin_keys_is_refused_and_not_shown() -> None:
    text = complaint(admin_keys=["-----BEGIN OPENSSH PRIVATE KEY----- abc"])
    assert "slipway:admin_keys[0]: this is a private key" in text
    assert "abc" not in text


def test_a_private_key_in_place_of_the_list_of_keys_is_not_shown_either() -> None:
    text = complaint(admin_keys="-----BEGIN OPENSSH PRIVATE KEY----- abc")
    assert "slipway:admin_keys" in text
    assert "abc" not in text


def test_a_port_out_of_range_is_told() -> None:
    text = complaint(firewall=[{"name": "metrics", "port": 70000}])
    assert "slipway:firewall.port: 70000 does not fit" in text
    assert "one of 1 to 65535" in text


def test_a_variable_with_an_impossible_name_is_told() -> None:
    assert "environment: 'A-B' is no name of a variable" in complaint(environment={"A-B": "x"})


def test_too_many_admin_keys_for_the_user_data_are_refused_with_the_size() -> None:
    import base64
    import random

    source = random.Random(1)
    keys = [f"ssh-rsa {base64.b64encode(source.randbytes(400)).decode()}" for _ in range(40)]
    text = complaint(admin_keys=keys)
    assert "over the limit of 16384" in text
    assert "admin_keys (40 keys)" in text
