"""The page in a browser: the numbers worked out by hand in `study_net`, the keyboard, the badge, no request at all."""

import json
import re
from pathlib import Path

import pytest
import study_net
from browser import AXE, Reader, browser, needs_axe, needs_browser

import npgradcam as ng
from npgradcam.study import write_page

pytestmark = needs_browser
CELLS = (3, 3)
EVIL = '</script><img src="http://127.0.0.1:9/x" onerror="document.title=\'gone\'">'


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


# fragment, what the formula says, rows of the first table
ARITHMETIC = {
    "sum": ("c=0&ij=1,1&open=sum", "S_(1,1) = Σ_k α_k A^k_(1,1) = −2",
            [["k = 0", "1", "2", "2"], ["k = 1", "−2", "2", "−4"], ["total", "", "", "−2"]]),
    "sum for the other class": ("c=1&ij=1,1&open=sum", "S_(1,1) = Σ_k α_k A^k_(1,1) = 2",
                                [["k = 1", "1", "2", "2"], ["1 others", "", "", "0"], ["total", "", "", "2"]]),
    "relu cuts": ("c=0&ij=1,1&open=relu", "L_(1,1) = max(−2, 0) = 0", None),
    "relu passes": ("c=0&ij=0,1&open=relu", "L_(0,1) = max(5, 0) = 5", None),
    "alpha": ("c=0&k=1&open=alpha", "α^0_1 = 1/Z · Σ = 1/9 · −18 = −2",
              [[f"({n // 3}, {n % 3})", "−2", f"−{2 * n + 2}"] for n in range(9)]),
    "one product": ("c=0&k=1&ij=1,1&open=weighted", "α_1 · A^1_(1,1) = −2 × 2 = −4", None),
    "a cell from input and kernel": ("k=1&ij=1,1&open=A", "max(2, 0) = 2\nconv: Σ w·x + b = 2",
                                     [["0", "3"], ["bias", "−1"], ["total", "2"]]),
    "a cell that its rectifier cut": ("k=1&ij=0,1&open=A", "max(−2, 0) = 0\nconv: Σ w·x + b = −2",
                                      [["0", "−1"], ["bias", "−1"], ["total", "−2"]]),  # 0 - 1
    "a gradient": ("c=0&k=1&ij=1,1&open=dA", "−18 / 9 = −2", None),
    "a score": ("c=0&open=logit", "y^0 = Σ_k w_k · mean(A^k) + b = 14",
                [["k = 0", "9", "2.11111", "19"], ["k = 1", "−18", "0.333333", "−6"], ["bias", "", "", "1"],
                 ["total", "", "", "14"]]),
    "a probability": ("open=softmax", "p = exp(y − 14) / Σ exp(y − 14),  Σ = 1.00002",
                      [["cat", "14", "1", "0.999983"], ["cup", "3", "1.67017e−5", "1.67014e−5"]]),
    "a pixel": ("c=0&ij=0,0&px=1,1&open=upsample", "h: (1 + ½) · 3/4 − ½ = 0.625\nw: (1 + ½) · 3/4 − ½ = 0.625\n"
                "1.17188 / 3.625 = 0.323276",
                [["(0, 0)", "0.140625", "0", "0"], ["(0, 1)", "0.234375", "5", "1.17188"],
                 ["(1, 0)", "0.234375", "0", "0"], ["(1, 1)", "0.390625", "0", "0"], ["total", "", "", "1.17188"]]),
}


@pytest.mark.parametrize(("fragment", "formula", "rows"), ARITHMETIC.values(), ids=ARITHMETIC)
def test_each_number_has_the_arithmetic_that_a_person_would_do(page, fragment, formula, rows):
    page.open(f"#{fragment}")
    assert formula in page.text("#formula")
    if rows is not None:
        assert page.rows() == rows


def test_the_patch_under_the_kernel_is_shown_cell_by_cell(page):
    page.open("#k=1&ij=1,1&open=A")
    assert page.rows("#terms .patch") == [["1 × 0", "3 × 1"], ["0 × −1", "1 × 0"]]


def test_a_click_opens_the_arithmetic_and_everything_follows(page):
    page.click_cell("sum", 1, 1, CELLS)
    assert "open=sum" in page.fragment
    assert "= −2" in page.text("#formula")
    assert page.text('[data-map="relu"] .readout') == "row 1, column 1, value 0"
    assert page.text('[data-instance="sum"]') == "S_(1,1) = Σ_k α_k A^k_(1,1) = −2"
    page.all("#terms button")[1].click()  # the channel k = 1
    page.wait(lambda: "k=1" in page.fragment and "open=A" in page.fragment)
    assert page.find("#channel").get_attribute("value") == "1"
    assert page.text('[data-map="weighted"] .readout') == "row 1, column 1, value −4"
    page.driver.back()
    page.wait(lambda: "open=sum" in page.fragment)
    page.wait(lambda: "S_(1,1)" in page.text("#formula"))


def test_the_keyboard_alone_is_enough(page):
    from selenium.webdriver.common.keys import Keys

    page.open("#c=0&ij=0,0")
    canvas = page.find('[data-map="sum"] canvas')
    canvas.send_keys(Keys.ARROW_RIGHT)
    assert "ij=0,1" in page.fragment
    assert "row 0, column 1, value 5" in canvas.get_attribute("aria-label")
    canvas.send_keys(Keys.ARROW_DOWN, Keys.END, Keys.ARROW_RIGHT)  # the edge holds
    assert "ij=1,2" in page.fragment
    canvas.send_keys(Keys.ENTER)
    page.wait(lambda: "S_(1,2)" in page.text("#formula"))
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.wait(lambda: "open" not in page.fragment)
    assert page.driver.switch_to.active_element == canvas


def test_the_class_and_the_language_change_everything_that_depends_on_them(page):
    page.open("#c=0&ij=1,1&open=sum")
    page.choose("#class", "1")
    page.wait(lambda: "c=1" in page.fragment)
    page.wait(lambda: "= 2" in page.text("#formula"))
    assert "gives cup a score of 3" in page.text(".lead")
    page.find('[data-lang="ko"]').click()
    page.wait(lambda: page.find("html").get_attribute("lang") == "ko")
    assert page.text("#h-sum") == "7. 모든 맵의 합"
    assert "항등식 8개" in page.text("#badge")
    page.driver.back()
    page.wait(lambda: page.text("#h-sum") == "7. The sum over all maps")


def test_the_sandbox_computes_again(page):
    page.open("#c=0&k=1&ij=1,1")
    says = lambda: page.text("#sandbox-says")  # noqa: E731
    page.choose("#rectify", False)
    assert says().startswith("Cell (1, 1): −2;")
    page.choose("#against", True)
    assert says().startswith("Cell (1, 1): 2;")
    page.choose("#against", False)
    page.choose("#weights", "cam")  # 9 x 2 - 18 x 2
    assert says().startswith("Cell (1, 1): −18;")
    page.choose("#weights", "cells")  # one gradient for every cell: the same as their mean
    assert says().startswith("Cell (1, 1): −2;")
    page.find("#toggle").click()  # map 1 off
    assert says().startswith("Cell (1, 1): 2;")
    page.find("#reset").click()
    assert says().startswith("Cell (1, 1): 0; largest 5, 0 away")


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


@pytest.mark.parametrize("which", ["by_hand", "shapes", "exact", "keras"])
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


def test_several_layers_are_compared_and_chosen(driver, shapes):
    page = Reader(driver, shapes).open("#c=2")
    buttons = page.all('[data-gallery="layers"] button')
    assert [button.text for button in buttons] == ["relu3, 16 × 16", "relu1, 16 × 16"]
    buttons[1].click()
    page.wait(lambda: "l=relu1" in page.fragment)
    assert "c=2" in page.fragment
    assert page.find("#layer").get_attribute("value") == "1"
    page.open("#l=relu3&open=sum")
    assert "others" in str(page.rows())


@needs_axe
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 375])
def test_axe_finds_nothing_serious(driver, shapes, dark, width):
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600})
    try:
        page = Reader(driver, shapes).open("#open=sum")
        page.driver.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        page.driver.execute_script(AXE.read_text("utf-8"))
        found = page.driver.execute_async_script("axe.run().then(r => arguments[0](r.violations))")
        bad = [violation for violation in found if violation["impact"] in ("serious", "critical")]
        told = [(v["id"], v["impact"], v["nodes"][0]["html"][:200]) for v in bad]
        assert told == []
        assert page.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
