"""Make a report page self-contained: nothing on it is loaded from elsewhere.

usage: selfcontained.py PAGE RESULT

Allure's page asks a third party's server for a script that counts visits. It is taken out by its
shape (a script loaded from elsewhere, with the inline script after it that configures it), a
content security policy is put in that lets the browser load nothing but what the page carries,
and whatever would still be loaded from elsewhere makes the build fail by name.

The page's own code, where it begins before the browser has read the data below it, as a large report on a
slow machine has it, would ask for files beside the page, of which there are none, and stay empty. It waits for
the data where it knows that there will be some, so that is said first.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "script-src 'unsafe-inline' 'unsafe-eval' data: blob:; style-src 'unsafe-inline' data: blob:; "
    "img-src data: blob:; font-src data:; media-src data: blob:; connect-src data: blob:; "
    'frame-src data: blob:; worker-src blob:; base-uri *">'
)
DATA_TO_COME = "<script>window.allureReportData = {}; window.allureReportDataReady = false;</script>"
# On a phone's width an attachment's type and size would leave no room for its name.
NARROW = (
    "<style>@media (max-width: 600px) "
    "{ [data-testid=test-result-attachment-header] > div > div > span { display: none } }</style>"
)
EXTERNAL = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
STYLE_IMPORT = re.compile(r"(?:@import\s+|url\()\s*[\"']?((?:https?:)?//[^\s\"')]+)", re.IGNORECASE)
LOADING_ATTRIBUTES = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}


class Element(NamedTuple):
    """A tag that loads something or carries code, and where in the page it stands."""

    tag: str
    loads: str | None
    start: int
    end: int
    text: str

    @property
    def is_external(self) -> bool:
        """Whether the browser would fetch it from another host."""
        return self.loads is not None and EXTERNAL.match(self.loads) is not None


class _Page(HTMLParser):
    """Collects the elements of a page with their offsets; scripts' and styles' text stays unread."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=False)
        self.elements: list[Element] = []
        self.head_end: int | None = None
        self._lines = [0, *(match.end() for match in re.finditer("\n", page))]
        self._open: tuple[str, str | None, int, int] | None = None
        self._page = page
        self.feed(page)
        self.close()

    def _offset(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        start, source = self._offset(), self.get_starttag_text() or ""
        end = start + len(source)
        loads = dict(attrs).get(LOADING_ATTRIBUTES.get(tag, ""))
        if tag == "head":
            self.head_end = end
        elif tag in {"script", "style"}:
            self._open = (tag, loads, start, end)
        elif tag in LOADING_ATTRIBUTES:
            self.elements.append(Element(tag, loads, start, end, ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._open is None or self._open[0] != tag:
            return
        _, loads, start, text_start = self._open
        text_end = self._offset()
        end = self._page.index(">", text_end) + 1
        self.elements.append(Element(tag, loads, start, end, self._page[text_start:text_end]))
        self._open = None


def external_loads(page: str) -> list[str]:
    """Name what a browser would fetch from elsewhere on opening the page."""
    loads: list[str] = []
    for element in _Page(page).elements:
        if element.is_external:
            loads.append(f"<{element.tag}> {element.loads}")
        if element.tag == "style":
            loads += [f"<style> {url}" for url in STYLE_IMPORT.findall(element.text)]
    return loads


def _foreign_scripts(page: str) -> list[Element]:
    """Scripts loaded from elsewhere, each with the inline script right after it that sets it up."""
    scripts = [element for element in _Page(page).elements if element.tag == "script"]
    foreign = [script for script in scripts if script.is_external]
    foreign += [
        after
        for before, after in pairwise(scripts)
        if before.is_external and after.loads is None and not page[before.end : after.start].strip()
    ]
    return sorted(foreign, key=lambda script: script.start)


def self_contained(page: str) -> str:
    """Return the page without foreign scripts and with a policy that keeps it to itself."""
    for script in reversed(_foreign_scripts(page)):
        page = page[: script.start] + page[script.end :]
    head_end = _Page(page).head_end
    if head_end is None:
        message = "the page has no <head>"
        raise ValueError(message)
    return f"{page[:head_end]}\n    {POLICY}\n    {DATA_TO_COME}{NARROW}{page[head_end:]}"


def main(source: str, result: str) -> int:
    """Write the self-contained page, or say what keeps it from being one."""
    page = self_contained(Path(source).read_text(encoding="utf-8"))
    if loads := external_loads(page):
        sys.stderr.write("".join(f"report: loaded from elsewhere: {load}\n" for load in loads))
        return 1
    Path(result).write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
