"""What is observed decides: pure functions."""

from __future__ import annotations

import pytest

from pulumi_slipway.app.release import release_id, summary
from pulumi_slipway.observe import claim_serial, drift, release_serial, site_serial
from tests.unit.mocks import observation


def test_the_serial_stays_while_the_wanted_release_is_live() -> None:
    assert release_serial(observation(release="r-1", release_serial=4), "r-1", now=9) == 4


@pytest.mark.parametrize("live", ["", "r-rolled-back"])
def test_the_serial_is_a_new_one_when_another_release_is_live(live: str) -> None:
    assert release_serial(observation(release=live, release_serial=4), "r-1", now=9) == 9


def test_a_new_serial_is_above_the_last_one_even_where_the_clock_went_back() -> None:
    assert release_serial(observation(release="r-other", release_serial=4), "r-1", now=2) == 5


def test_an_app_that_is_gone_from_its_server_is_claimed_anew() -> None:
    assert claim_serial(observation(claimed=True, claim_serial=5), None, now=9) == 5
    assert claim_serial(observation(claimed=False, claim_serial=0), None, now=9) == 9


def test_a_server_that_is_not_as_it_was_made_is_put_right_by_the_claim() -> None:
    seen = observation(claimed=True, claim_serial=5, machine=["the firewall (ufw) is off"])
    assert claim_serial(seen, None, now=9) == 9
    assert claim_serial(seen, None, now=2) == 6


def test_a_live_release_that_is_damaged_is_released_again() -> None:
    assert release_serial(observation(release="r-1", release_serial=4, damage=["code"]), "r-1", now=9) == 9


def test_a_server_that_was_wiped_does_not_get_the_number_that_the_state_has_already() -> None:
    first = release_serial(observation(), "r-1", now=100)
    assert release_serial(observation(), "r-1", now=200) != first


def test_the_site_serial_stays_while_all_files_are_as_wanted() -> None:
    files = {"/etc/a": "1"}
    assert site_serial(observation(site_serial=2, files=files), files, now=9) == 2


@pytest.mark.parametrize("found", [{}, {"/etc/a": "edited"}, {"/etc/a": "1", "/etc/b": "left over"}])
def test_the_site_serial_is_a_new_one_when_a_file_is_missing_edited_or_left_over(found: dict[str, str]) -> None:
    seen = observation(site_serial=2, files=found)
    assert site_serial(seen, {"/etc/a": "1"}, now=9) == 9
    assert drift(seen, {"/etc/a": "1"})


def test_a_release_is_its_parts_its_variables_and_nothing_else() -> None:
    first = release_id({"source": "a"}, {"X": "1"}, "key")
    assert first == release_id({"source": "a"}, {"X": "1"}, "key")
    others = [
        release_id({"source": "b"}, {"X": "1"}, "key"),
        release_id({"source": "a"}, {"X": "2"}, "key"),
        release_id({"source": "a"}, {"X": "1"}, "other stack"),
    ]
    assert len({first, *others}) == 4


def test_the_summary_names_variables_and_shows_no_value() -> None:
    assert summary("guestbook", "r-1", 3, ["B", "A"], 12) == "guestbook r-1 (serial 3, 12 files, variables: A B)"
