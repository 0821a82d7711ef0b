"""Pictures of a report in the README; ``python -m tests.report_pictures RUN...`` takes them again.

Needs Chromium and its driver, which ``make browser`` installs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.browser import Page, browsing
from tests.docs.pages import ROOT
from tpo.report import write_report

PICTURES = ROOT / "docs" / "pictures"
WIDTH = 1200
ROWS = "[...document.querySelectorAll('.row')]"
FIRST_ROW = f"{ROWS}.sort((a, b) => a.dataset.place - b.dataset.place)[0]"


def take(page: Page, name: str, height: int) -> None:
    """Save the picture *name* of the page as it is."""
    size = {"width": WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.driver.save_screenshot(str(PICTURES / f"{name}.png"))


def main() -> None:
    """Take the head of the report of the runs, and its first query."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.html"
        write_report([Path(run) for run in sys.argv[1:]], file)
        with browsing(file.as_uri(), width=WIDTH) as page:
            page.until("document.querySelectorAll('.chart canvas').length > 1")
            take(page, "report", 930)
            page.run("location.hash = 'queries/0'")
            page.until(f"{ROWS}.length > 0")
            page.run(f"{FIRST_ROW}.click()")
            page.until("document.querySelector('#trajectory h2') !== null")
            take(page, "trajectory", 863)


if __name__ == "__main__":
    main()
