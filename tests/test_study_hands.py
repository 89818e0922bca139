"""In a browser, as a person would: clicks, the keyboard alone, the back button, another language, the sandbox."""

import pytest
import study_pages
from browser import AXE, Reader, needs_axe, needs_browser

pytestmark = needs_browser
driver, by_hand, shapes, page = study_pages.driver, study_pages.by_hand, study_pages.shapes, study_pages.page
CELLS = (3, 3)


def test_a_click_opens_the_arithmetic_and_everything_follows(page):
    page.click_cell("sum", 1, 1, CELLS)
    assert "open=sum" in page.fragment
    assert "= −2" in page.text("#formula")
    assert page.text('[data-map="relu"] .readout') == "row 1, column 1, value 0"
    assert page.pieces("sum")[-1] == "=−2"
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
    page.find('[data-map="sum"] .cell').send_keys(Keys.ARROW_RIGHT)
    assert "ij=0,1" in page.fragment
    assert page.focused == ("gridcell", "row 0, column 1, value 5")
    page.press(Keys.ARROW_DOWN, Keys.END, Keys.ARROW_RIGHT)  # the edge holds
    assert "ij=1,2" in page.fragment
    page.press(Keys.ENTER)
    page.wait(lambda: "S_(1,2)" in page.text("#formula"))
    page.press(Keys.ESCAPE)
    page.wait(lambda: "open" not in page.fragment)
    assert page.focused == ("gridcell", "row 1, column 2, value 4")
    page.press(Keys.CONTROL + Keys.HOME + Keys.NULL)
    assert page.focused == ("gridcell", "row 0, column 0, value 0")
    page.press(Keys.PAGE_DOWN, Keys.SPACE)
    page.wait(lambda: "S_(2,0)" in page.text("#formula"))


def test_a_grid_says_its_size_its_place_and_its_number_and_tab_finds_each_once(page):
    page.open("#c=0&ij=1,2")
    grid, cell = (page.find(f'[data-map="relu"] {part}') for part in (".grid", ".cell"))
    assert [grid.get_attribute(f"aria-{of}count") for of in ("row", "col")] == ["3", "3"]
    assert grid.get_attribute("aria-label").startswith("after the ReLU; arrow keys")
    assert cell.get_attribute("aria-label") == "row 1, column 2, value 4"
    assert page.find('[data-map="relu"] [role="row"]').get_attribute("aria-rowindex") == "2"
    assert cell.get_attribute("aria-colindex") == "3"
    assert len(page.all('.grid [tabindex="0"]')) == len(page.all(".grid")) == 10
    pixel = page.find('[data-pixels="upsample"] .cell')
    assert pixel.get_attribute("aria-label") == "pixel row 2, column 3: 3.625"  # 4 + 0.375 (3 - 4)


def test_what_is_chosen_elsewhere_is_said_once(page):
    from selenium.webdriver.common.keys import Keys

    page.open("#c=0&k=0&ij=1,1")
    page.choose("#column", "2")
    page.wait(lambda: page.text("#said") == "Chosen: cat, map 0, cell (1, 2); its sum is 4")
    page.find('[data-map="sum"] .cell').send_keys(Keys.ARROW_LEFT)  # the cell that gets the focus says it
    assert "ij=1,1" in page.fragment
    assert page.text("#said") == "Chosen: cat, map 0, cell (1, 2); its sum is 4"


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
