"""The report in a real browser: Chromium, driven by Playwright, from a file and without any network."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
_DATA = re.compile(r'd\("(?:data/test-results/(?P<id>[0-9a-f]+)\.json|[^"]+)","(?P<content>[A-Za-z0-9+/=]*)"\)')
_OWN = ("file:", "data:", "blob:", "about:")
_TALL = 1400


def chromium() -> str | None:
    """Where the browser is; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def results(page: Path) -> list[dict[str, Any]]:
    """The tests that a report holds, each as the page itself has it."""
    found = _DATA.finditer(page.read_text(encoding="utf-8"))
    return [json.loads(base64.b64decode(each["content"])) for each in found if each["id"]]


def contents(page: Path) -> Iterator[bytes]:
    """Everything that a report carries in base64, decoded: data, attachments, scripts."""
    text = page.read_text(encoding="utf-8")
    for each in _DATA.finditer(text):
        yield base64.b64decode(each["content"])


class Report:
    """A report that is open. `requests` are those that left the page; `complaints` what the console said."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._file = file
        self._ids = {str(each["name"]): str(each["id"]) for each in results(file)}
        page.on("request", lambda sent: None if sent.url.startswith(_OWN) else self.requests.append(sent.url))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(file.as_uri())
        page.get_by_text("WireGuard deployment").first.wait_for()

    def open(self, name: str) -> None:
        """Go to the test of that name; raises `KeyError` when there is none."""
        self.page.goto(f"{self._file.as_uri()}#{self._ids[name]}")
        # Where there is little room the same name is there once more, hidden.
        self.page.get_by_text(name).locator("visible=true").first.wait_for()

    def unfold(self, name: str) -> None:
        """Unfold a step or an attachment by its name, the last of several."""
        # By an event of its own: on a phone's width Allure lays the size of an attachment over its name.
        self.page.get_by_text(name, exact=True).last.dispatch_event("click")

    def pictures(self) -> list[dict[str, float]]:
        """The size of each picture that is shown, and the one that it has itself; waits until one is there."""
        self.page.locator("img").first.wait_for()
        self.page.wait_for_function("[...document.images].every(each => each.complete)")
        found: list[dict[str, float]] = self.page.evaluate(
            "[...document.images].map(each => ({own: each.naturalWidth, width: each.getBoundingClientRect().width,"
            " right: each.getBoundingClientRect().right}))"
        )
        return found

    def overflow(self) -> float:
        """By how many pixels the page is wider than the window."""
        wider: float = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return wider


@contextlib.contextmanager
def opened(file: Path, *, scheme: str = "light", width: int = 1280, height: int = _TALL) -> Iterator[Report]:
    """Open a report in a fresh browser that has no network; `scheme` is `light` or `dark`, sizes are in pixels."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(_OPTIONS))
        try:
            context = browser.new_context(
                color_scheme="dark" if scheme == "dark" else "light",
                viewport={"width": width, "height": height},
                offline=True,
            )
            yield Report(context.new_page(), file)
        finally:
            browser.close()
