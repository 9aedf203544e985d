"""Any app, as it is: the user's commands from the first preview to the last `down`.

The tests of a row run in this order on one stack.
"""

from __future__ import annotations

import re

import pytest

from bench.background import start_load
from tests.apps.apps import MARK
from tests.apps.sites import Site

RATE = 40.0
"""Requests a second."""


class TestApp:
    @pytest.mark.line("preview")
    def test_the_preview_says_how_the_app_was_understood_and_what_it_lacks(self, site: Site) -> None:
        if site.app.refused:
            said = site.make("preview", check=False)
            assert [word for word in site.app.refused if word not in said] == [], said
            site.set_also()
        said = site.make("preview")
        assert re.search(site.app.reason, said), said

    @pytest.mark.line("up")
    def test_one_up_serves_it_over_https(self, site: Site) -> None:
        site.make("up")
        page = site.visitor().get()
        assert page.status == 200
        assert site.app.page in page.text

    @pytest.mark.line("works")
    def test_it_does_what_it_is_for(self, site: Site) -> None:
        site.app.works(site.running())

    @pytest.mark.line("again")
    def test_the_next_up_changes_nothing(self, site: Site) -> None:
        assert site.changes() == {}

    @pytest.mark.line("release")
    def test_a_release_loses_no_request_and_no_row(self, site: Site) -> None:
        running = site.running()
        site.edit(MARK, 'data-marker="two"')
        with start_load(running.url, RATE, 20, ca=running.certificate) as load:
            site.make("up")
            result = load.wait()
        assert result.failures == {}
        assert list(result.markers) == ["one", "two"]
        assert site.app.remains in running.visitor().get().text

    @pytest.mark.line("back")
    def test_the_source_as_it_was_is_the_release_that_is_kept(self, site: Site) -> None:
        running = site.running()
        site.edit('data-marker="two"', MARK)
        said = site.make("up")
        assert [word for word in ("uploading", "unpacked", "build: ", "release: ") if word in said] == [], said
        page = running.visitor().get().text
        assert MARK in page
        assert site.app.remains in page
        assert site.changes() == {}

    @pytest.mark.line("destroy")
    def test_down_leaves_nothing(self, site: Site) -> None:
        site.make("down")
        assert site.pulumi("stack", "export").count('"urn"') == 0
