"""In a browser: the page checks its own numbers, damage is caught, labels stay text, and nothing is requested."""

import json
import re
from pathlib import Path

import pytest
import study_net
import study_pages
from browser import Reader, needs_browser

import npgradcam as ng
from npgradcam.study import write_page

pytestmark = needs_browser
driver, by_hand, shapes, page = study_pages.driver, study_pages.by_hand, study_pages.shapes, study_pages.page
EVIL = '</script><img src="http://127.0.0.1:9/x" onerror="document.title=\'gone\'">'


def errors(page):
    found = page.driver.execute_script(
        "return Object.fromEntries([...document.getElementById('badge').attributes]"
        ".filter(a => a.name.startsWith('data-err-')).map(a => [a.name.slice(9), a.value]))")
    return {name: float(value.replace("Infinity", "inf")) for name, value in found.items()}


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    path, net = tmp_path_factory.mktemp("page") / "exact.html", ng.load("shapes", dtype="float64")
    prepared = net.prepare(ng.images.sample("two_shapes"))
    write_page(path, ng.trace(net, net.arranged(prepared.x), layer="relu2"), prepared)
    return path


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    """An ONNX file whose pictures are NHWC."""
    pytest.importorskip("onnx")
    path = tmp_path_factory.mktemp("page") / "keras.html"
    net = ng.load(Path(__file__).parent / "data" / "onnx" / "tiny" / "keras_tf2onnx13.onnx", preprocess="tf")
    prepared = net.prepare(ng.images.sample("chelsea"))
    write_page(path, ng.trace(net, net.arranged(prepared.x), [0, 1]), prepared)
    return path


@pytest.fixture(scope="module")
def pixels(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "pixels.html"
    write_page(path, ng.trace(study_net.pixels(), study_net.X, [0, 1], "relu"))
    return path


@pytest.mark.parametrize("which", ["by_hand", "shapes", "exact", "keras", "pixels"])
def test_the_page_recomputes_its_identities(driver, request, which):
    page = Reader(driver, request.getfixturevalue(which)).open()
    assert set(errors(page)) == {"sha", "alpha", "sum", "relu", "upsample", "softmax", "logit", "guided"}
    assert all(error <= 1e-12 for error in errors(page).values())
    assert page.find("#badge").get_attribute("class") == "good"


def corrupted(path, tmp_path, change):
    text = path.read_text("utf-8")
    data = re.search(r'id="npgradcam-data">(.*?)</script>', text, re.S)[1]
    changed = json.loads(data)
    change(changed)
    bad = tmp_path / "bad.html"
    bad.write_text(text.replace(data, json.dumps(changed, ensure_ascii=False).replace("<", "\\u003c")), "utf-8")
    return bad


def flip(tensor):
    at = len(tensor["data"]) // 2
    tensor["data"] = tensor["data"][:at] + ("A" if tensor["data"][at] != "A" else "B") + tensor["data"][at + 1 :]


DAMAGE = {
    "a byte of A": (lambda d: flip(d["layers"][0]["A"]), "sha"),
    "a byte of the remainder": (lambda d: flip(d["layers"][0]["rest"]), "sha"),
    "a probe": (lambda d: d["layers"][0]["probes"][0][30].__setitem__(2, 0.123), "upsample"),
    "a product": (lambda d: d["products"][1][30].__setitem__(3, 9.0), "guided"),
    "a probability": (lambda d: d["top"][0].__setitem__("probability", 0.5), "softmax"),
    "a bias": (lambda d: d["layers"][0]["head"]["bias"].__setitem__(0, 1e-6), "logit"),
    "alpha of another class": (lambda d: d["layers"][0].__setitem__("dA", d["layers"][0]["dA"][::-1]), "alpha"),
    "the map of another layer": (lambda d: d["layers"][0].__setitem__("signed", d["layers"][1]["signed"]), "sum"),
}


@pytest.mark.parametrize(("change", "name"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_caught_by_the_badge(driver, shapes, tmp_path, change, name):
    page = Reader(driver, corrupted(shapes, tmp_path, change)).open()
    assert page.find("#badge").get_attribute("class") == "bad"
    assert "CHECK FAILED" in page.text("#badge")
    assert not errors(page)[name] <= 1e-12


def test_a_planted_label_stays_text_and_nothing_is_requested(driver, tmp_path):
    path = tmp_path / "evil.html"
    write_page(path, ng.trace(study_net.model((EVIL, "cup")), study_net.X, [0, 1]), name=EVIL)
    driver.get_log("performance")
    page = Reader(driver, path).open("#open=logit&l=<img>")
    assert EVIL in page.text(".lead")
    assert page.driver.title.startswith("Why?")
    assert page.driver.execute_script("return [...document.images].every(i => i.src.startsWith('data:'))")
    sent = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"]
    assert asked
    assert [url for url in asked if not url.startswith(("file://", "data:", "about:"))] == []
    assert len([url for url in asked if url.startswith("file://")]) == 1
    assert page.driver.execute_async_script(
        "const done = arguments[0]; fetch('http://127.0.0.1:9/').then(() => done('sent'), () => done('refused'))"
    ) == "refused"


def test_nothing_in_the_address_breaks_the_page(page):
    for fragment in ("#k=-1&ij=99,99&px=9,9", "#open=__proto__", "#open=constructor&c=x&lang=toString", "#ij=", "#&&==",
                     "#open=layer.x", "#open=layer.__proto__", "#c=0&c=1"):
        page.open(fragment)
        assert page.find("#badge").get_attribute("class") == "good"
    assert [entry for entry in page.driver.get_log("browser") if "Error" in entry["message"]] == []
