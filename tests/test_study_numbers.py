"""In a browser: every number of the page has the arithmetic that was worked out by hand in `study_net`."""

from dataclasses import replace

import branch_net
import numpy as np
import pytest
import study_net
import study_pages
from browser import Reader, needs_browser

import npgradcam as ng
from npgradcam.study import write_page

pytestmark = needs_browser
driver, by_hand, page = study_pages.driver, study_pages.by_hand, study_pages.page

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
                      [["cat", "14", "0", "1", "0.999983"], ["cup", "3", "−11", "1.67017e−5", "1.67014e−5"]]),
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


@pytest.fixture(scope="module")
def far_up(tmp_path_factory):
    """The same network with scores of 1013.25 and 1013.75: e to their power is beyond the largest number."""
    path, net = tmp_path_factory.mktemp("page") / "far.html", study_net.model()
    *others, fc = net.network.nodes
    far = replace(fc, layer=replace(fc.layer, bias=np.float32([1000.25, 1010.75])))
    net = replace(net, network=replace(net.network, nodes=(*others, far)))
    write_page(path, ng.trace(net, study_net.X, ["cat", "cup"]), name="by hand")
    return path


def test_probabilities_of_large_scores_are_numbers_and_follow_from_what_is_shown(driver, far_up):
    page = Reader(driver, far_up).open("#c=1&open=softmax")
    shown = {row[0]: [float(cell.replace("−", "-")) for cell in row[1:]] for row in page.rows()}
    assert shown == {"cup": [1013.75, 0, 1, 0.622459], "cat": [1013.25, -0.5, 0.606531, 0.377541]}
    assert page.pieces("softmax") == ["p1", "=e1013.75−1013.751.61", "=11.61", "=0.622459"]
    page.open("#c=0&open=softmax")
    assert page.pieces("softmax") == ["p0", "=e1013.25−1013.751.61", "=0.6071.61", "=0.377541"]
    read = page.driver.execute_script("return document.body.innerText")
    assert "NaN" not in read
    assert "Infinity" not in read


# the equations with the chosen numbers in the place of the letters, as text: indices come before exponents
WRITTEN = {
    "A": ("A1,11", "=2"), "dA": ("∂y0∂A1,11", "=−189", "=−2"),
    "alpha": ("α10", "=19(−21,1", "−20,0", "−20,1", "+…)", "=−2"),
    "weighted": ("α10A1,11", "=−2×2", "=−4"), "sum": ("S1,10", "=", "2k = 0", "−4k = 1", "=−2"),
    "relu": ("L1,10", "=max(−2,0)", "=0"), "upsample": ("sh=(2+12)", "34−12", "=1.38", "sw=(2+12)", "34−12", "=1.38"),
    "guided": ("G2,2", "=2×1.35938", "=2.71875"),  # bilinear: between −2 -> 0, 4, 0 and 3 of the map
    "sandbox": ("max(∑kαk0A1,1k,0)", "=0"), "softmax": ("p0", "=e14−141", "=11", "=0.999983"),
}


@pytest.mark.parametrize(("name", "pieces"), WRITTEN.items(), ids=WRITTEN)
def test_each_equation_has_the_chosen_numbers_in_the_place_of_its_letters(page, name, pieces):
    page.open("#c=0&k=1&ij=1,1")
    assert page.pieces(name) == list(pieces)


def test_the_equations_follow_what_is_chosen(page):
    page.open("#c=0&k=1&ij=1,1")
    page.choose("#class", "1")
    page.wait(lambda: page.pieces("sum")[0] == "S1,11")
    assert page.pieces("sum") == ["S1,11", "=", "2k = 1", "+01 others", "=2"]
    page.choose("#channel", "0")
    page.choose("#row", "0")
    page.wait(lambda: page.pieces("weighted") == ["α01A0,10", "=0×5", "=0"])  # map 0 weighs nothing for the cup
    page.choose("#weights", "cam")
    page.choose("#against", True)
    assert page.pieces("sandbox") == ["max(−∑kwk1A0,1k,0)", "=0"]


def test_the_letters_and_their_numbers_have_one_colour(page):
    page.open("#c=0&k=1&ij=1,1")
    colour = "return [...document.querySelectorAll(arguments[0])].map(e => getComputedStyle(e).color)"
    kinds = [set(page.driver.execute_script(colour, f"math .of-{kind}, label.of-{kind}")) for kind in ("k", "ij", "c")]
    assert [len(kind) for kind in kinds] == [1, 1, 1]
    assert len(set.union(*kinds)) == 3


@pytest.fixture(scope="module", params=[False, True], ids=["channels first", "channels last"])
def branches(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "branches.html"
    write_page(path, ng.trace(branch_net.model(request.param), study_net.X, ["cat", "cup"], "relu"))
    return path


def test_the_way_down_goes_through_a_branch_and_a_pooling(driver, branches):
    page = Reader(driver, branches).open("#k=0&ij=1,1&open=A")  # -x + 4 under the window: 3, 1, 4, 3
    assert "pool: max(3, 1, 4, 3) = 4  → (2, 1)\nnegative: Σ w·x + b = 4" in page.text("#formula")
    assert page.rows() == [["0", "0"], ["bias", "4"], ["total", "4"]]
    page.open("#k=1&ij=1,1&open=A")
    assert "map 1 is map 0 of diagonal" in page.text("#formula")
    assert page.rows() == [["0", "2"], ["bias", "0"], ["total", "2"]]
    assert page.find("#badge").get_attribute("class") == "good"
