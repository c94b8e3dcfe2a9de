"""A whole cluster with its page, and a real Chromium that looks at it."""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from kubelite.testing.host import difference, snapshot
from tests.cluster.world import Cluster
from tests.e2e.world import SLOW

PATIENCE = 30 * SLOW
FLAGS = (
    "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
    "disable-component-update disable-sync disable-dev-shm-usage disable-extensions"
).split()
AXE = Path(__file__).parent / "vendor" / "axe.min.js"


class NotShown(AssertionError):
    """The page did not come to show something in time."""


@contextmanager
def running_cluster(root: Path) -> Iterator[Cluster]:
    """A cluster that is up; afterwards nothing of it is left."""
    cluster = Cluster(root)
    before = snapshot(str(root))
    try:
        cluster.up("--no-ingress", "--node-name", "node-1")
        yield cluster
    except BaseException:
        print(cluster.logs_of_processes())
        raise
    finally:
        cluster.kl("down", check=False)
        cluster.kl("system", "reset", "--yes", check=False)
    assert difference(before, snapshot(str(root))) == []


@contextmanager
def serving(cluster: Cluster, *options: str) -> Iterator[str]:
    """``kubelite ui``, and the address that it prints."""
    server = cluster.start(
        "ui", "--no-browser", *options, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert server.stdout is not None
        yield server.stdout.readline().decode().strip()
    finally:
        server.terminate()
        server.wait(PATIENCE)
        if server.stdout is not None:
            server.stdout.close()


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in FLAGS:
            options.add_argument(f"--{flag}")
        options.add_argument(f"--user-data-dir={profile}")
        options.add_argument("--window-size=1440,900")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        driver.set_script_timeout(PATIENCE)
        try:
            yield driver
        finally:
            driver.quit()


class Browser:
    """What a user sees and does. Whatever is waited for is waited for at most PATIENCE seconds."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver = driver
        self._base = address.partition("#")[0]

    def enter(self, address: str) -> None:
        """Opens the page with its token; the token does not stay in the address."""
        self.driver.get("about:blank")
        self.driver.get(address)
        self.see(".tiles")
        assert "token" not in self.driver.current_url

    def go(self, fragment: str) -> None:
        """Shows a screen anew."""
        self.driver.get("about:blank")
        self.driver.get(self._base + fragment)
        self.see("main")

    def wait(self, condition: Callable[[], Any], sentence: str) -> Any:
        """What ``condition`` returns as soon as it is true. Elements may go while it looks."""
        import time

        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = condition()
            except WebDriverException:
                answer = None
            if answer:
                return answer
            if time.monotonic() > deadline:
                places = "".join(self.text(place)[:1500] for place in ("main", ".drawer"))
                raise NotShown(f"{sentence}\n{places}")
            time.sleep(0.05)

    def see(self, selector: str, text: str = "") -> WebElement:
        """The first element that is shown and contains a text."""

        def shown() -> WebElement | None:
            for element in self.driver.find_elements(By.CSS_SELECTOR, selector):
                if element.is_displayed() and text in element.text:
                    return element
            return None

        return self.wait(shown, f"{selector} with {text!r} is not shown")

    def miss(self, selector: str, text: str = "") -> None:
        """Waits until no element contains a text."""

        def gone() -> bool:
            elements = self.driver.find_elements(By.CSS_SELECTOR, selector)
            return not any(text in element.text for element in elements)

        self.wait(gone, f"{selector} with {text!r} is still shown")

    def click(self, selector: str, text: str = "") -> None:
        def clicked() -> bool:
            element = self.see(selector, text)
            if not element.is_enabled():
                return False
            element.click()
            return True

        self.wait(clicked, f"{selector} with {text!r} cannot be clicked")

    def press(self, *keys: str) -> None:
        """Keys, to whatever has the focus."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def text(self, selector: str) -> str:
        return self.driver.execute_script(
            "return document.querySelector(arguments[0])?.innerText ?? ''", selector
        )

    def texts(self, selector: str) -> list[str]:
        return self.driver.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)",
            selector,
        )

    def count(self, selector: str) -> int:
        return len(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def write(self, selector: str, text: str) -> None:
        """Replaces what stands in a field."""
        field = self.see(selector)
        field.click()
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(text)

    def media(self, **features: str) -> None:
        """What the system prefers: color_scheme="dark"."""
        wanted = {"reduced_motion": "reduce", **features}  # nothing is seen halfway
        named = [
            {"name": f"prefers-{name.replace('_', '-')}", "value": value}
            for name, value in wanted.items()
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": named})

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def violations(self, *rules_only: str) -> list[str]:
        """What axe-core finds wrong with the page as it is now, by all rules or by some."""
        if not self.driver.execute_script("return 'axe' in window"):
            self.driver.execute_script(AXE.read_text())
        options = {"runOnly": list(rules_only)} if rules_only else {}
        rules = self.driver.execute_async_script(
            "axe.run(document, arguments[0]).then((result) => arguments[1](result.violations))",
            options,
        )
        return [
            f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
            for rule in rules
            for node in rule["nodes"]
        ]

    def complaints(self) -> list[str]:
        """What the browser has complained about since this was asked last, requests without an
        answer apart.
        """
        entries = self.driver.get_log("browser")
        return [e["message"] for e in entries if e["source"] not in ("network",)]

    def screenshot(self, name: str) -> None:
        """Kept as ui-NAME.png in the directory KUBELITE_SCREENSHOTS, where that is set."""
        directory = os.environ.get("KUBELITE_SCREENSHOTS")
        if directory:
            picture = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
            (Path(directory) / f"ui-{name}.png").write_bytes(base64.b64decode(picture["data"]))
