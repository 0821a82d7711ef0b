"""Debian's Chromium for tests: a fresh profile, no traffic of its own, a record of the page's requests."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from selenium.common.exceptions import JavascriptException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True)
class Page:
    """An open page; *origin* is the scheme and host of its address, or ``file://``."""

    driver: Chrome
    origin: str

    def run(self, script: str, *arguments: object) -> Any:
        """What *script*, a function's body, returns."""
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: str, seconds: float = 120) -> Any:
        """Return the value of the expression *condition* once it holds; an error in it is "not yet"."""
        end = time.monotonic() + seconds
        while True:
            value, said = None, ""
            try:
                value = self.run(f"return {condition}")
            except JavascriptException as error:  # it reads an element that is not drawn yet
                said = f": {error.msg}"
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"after {seconds} s: {condition}{said}")
            time.sleep(0.02)  # a browser is a process of its own: its time cannot be injected

    def press(self, *keys: str) -> None:
        """Keys one after the other."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def requests(self) -> list[str]:
        """Return every address that the page requested since the last call.

        The browser's own pages (its new tab, for one) make requests too, at any time: only those of documents
        of the page's origin count, and the document itself.
        """
        messages = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
            and message["params"]["documentURL"].startswith(self.origin)
        ]

    def complaints(self) -> list[str]:
        """What the console said: errors, and whatever the page's policy refused."""
        return [entry["message"] for entry in self._log("browser")]

    def _log(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries


@contextmanager
def browsing(address: str, *, width: int = 1280, height: int = 900) -> Iterator[Page]:
    """Open *address* in a new browser and yield the page once it says that it is ready."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.add_argument("about:blank")  # the first tab, in place of the browser's own page
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        try:
            driver.get(address)
            parts = urlsplit(address)
            page = Page(driver, f"{parts.scheme}://{parts.netloc}")
            page.until("document.documentElement.dataset.ready !== undefined")
            yield page
        finally:
            driver.quit()
