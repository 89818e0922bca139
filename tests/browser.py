"""A page opened from the disk in headless Chromium, driven as a person would."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver") or shutil.which("chromium-driver")
AXE = next((path for path in (Path(os.environ.get("NPGRADCAM_AXE") or "node_modules/axe-core/axe.min.js"),)
            if path.is_file()), None)

needs_browser = pytest.mark.skipif(not (CHROMIUM and DRIVER),
                                   reason="needs a browser: apt-get install chromium chromium-driver")
needs_axe = pytest.mark.skipif(AXE is None, reason="needs axe-core: npm install axe-core, or NPGRADCAM_AXE=axe.min.js")


@contextmanager
def browser():
    """Start a browser that says what it tried to load and what went wrong."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install '.[test]'")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1440,1000",
                     "--disable-dev-shm-usage", "--force-prefers-reduced-motion"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    driver.set_script_timeout(120)
    try:
        yield driver
    finally:
        driver.quit()


class Reader:
    """Somebody who reads a page."""

    def __init__(self, driver, path):
        self.driver, self.path = driver, path

    def open(self, fragment=""):
        """Open the page anew at a fragment, and wait until it has checked itself."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.path.as_uri()}{fragment}")
        return self.ready()

    def ready(self):
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 60).until(lambda d: d.execute_script("return document.body.dataset.ready") == "1")
        return self

    def wait(self, true):
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 20).until(lambda _: true())

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def text(self, selector):
        return self.driver.execute_script("return document.querySelector(arguments[0]).textContent", selector)

    def rows(self, selector="#terms table"):
        """The cells of a table's body, as text."""
        return self.driver.execute_script(
            "return [...document.querySelector(arguments[0]).querySelectorAll('tr')]"
            ".map(r => [...r.querySelectorAll('td')].map(c => c.textContent)).filter(r => r.length)", selector)

    def pieces(self, name):
        """An equation with its numbers, as text: the pieces between which a line may break."""
        return self.driver.execute_script(
            "return [...document.querySelector(arguments[0]).children].map(e => e.textContent)",
            f'[data-instance="{name}"]')

    @property
    def focused(self):
        """The role and the name of what has the focus."""
        e = self.driver.switch_to.active_element
        return e.get_attribute("role"), e.get_attribute("aria-label")

    def press(self, *keys):
        """Press keys one after the other, each where the focus is then."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    @property
    def fragment(self):
        return self.driver.execute_script("return location.hash")

    def click_cell(self, name, i, j, cells):
        """Click cell (i, j) of a map of (I, J) cells."""
        from selenium.webdriver.common.action_chains import ActionChains

        canvas = self.find(f'[data-map="{name}"] canvas')
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", canvas)
        width, height = canvas.size["width"], canvas.size["height"]
        x, y = width * ((j + 0.5) / cells[1] - 0.5), height * ((i + 0.5) / cells[0] - 0.5)
        ActionChains(self.driver).move_to_element_with_offset(canvas, int(x), int(y)).click().perform()
        self.wait(lambda: f"ij={i},{j}" in self.fragment)

    def choose(self, selector, value):
        """Set a select, a field or a checkbox, as a person's change does."""
        self.driver.execute_script(
            "const e = document.querySelector(arguments[0]); if (e.type === 'checkbox') e.checked = arguments[1]; "
            "else e.value = arguments[1]; e.dispatchEvent(new Event('change'))", selector, value)
