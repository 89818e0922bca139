"""Pages for the tests in a browser, and the browser that opens them."""

from __future__ import annotations

import pytest
import study_net
from browser import Reader, browser

import npgradcam as ng
from npgradcam.study import write_page


@pytest.fixture(scope="module")
def driver():
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "why.html"
    write_page(path, ng.trace(study_net.model(), study_net.X, ["cat", "cup"]), name="by hand")
    return path


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """Two layers, and so little room that most maps are added up in a remainder."""
    path, net = tmp_path_factory.mktemp("page") / "shapes.html", ng.load("shapes")
    prepared = net.prepare(ng.images.sample("two_shapes"))
    first = ng.trace(net, net.arranged(prepared.x), [0, 2], "relu3")
    write_page(path, [first, ng.trace(net, first.tape, [0, 2], "relu1")], prepared, budget=90_000)
    return path


@pytest.fixture
def page(driver, by_hand):
    return Reader(driver, by_hand).open()
