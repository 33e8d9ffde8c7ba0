"""A sheet of SVG that is read on a phone and on a desk, in light and dark, and without telling red from green.

It has no width of its own, so that it fits where it is shown. Colours are those of Okabe and Ito; whatever a colour
says is also said by a pattern, a letter or a mark.
"""

from __future__ import annotations

import textwrap
from xml.etree import ElementTree as ET

WIDTH = 560
"""Of the sheet, in units that are a pixel where it is shown in its own size; on a phone they are two thirds of one."""

MARGIN = 14
_CHARACTER = 0.54  # of a character's height: how wide one of a sans serif is on average

_STYLE = """
svg { font-family: system-ui, "DejaVu Sans", sans-serif; font-size: 13px;
  --page: #ffffff; --ink: #1b2430; --soft: #55616e; --line: #9aa5b1; --zone: #f3f5f7; --box: #ffffff;
  --good: #0072b2; --bad: #c2410c; --warn: #8a5a00 }
@media (prefers-color-scheme: dark) { svg { --page: #14181d; --ink: #e8ecf0; --soft: #aab4bf; --line: #5d6873;
  --zone: #1c2229; --box: #262d35; --good: #56b4e9; --bad: #ff8a4c; --warn: #e69f00 } }
text { fill: var(--ink) } .page { fill: var(--page) }
.title { font-size: 15px; font-weight: 600 } .name { font-weight: 600 } .soft { fill: var(--soft) }
.small { font-size: 11.5px } .middle { text-anchor: middle } .end { text-anchor: end }
.bad-text { fill: var(--bad); font-weight: 600 } .line { stroke: var(--line); stroke-width: 1; fill: none }
.badge { fill: var(--ink) } .badge-text { fill: var(--page); font-weight: 700; font-size: 12px; text-anchor: middle }
.bad-badge { fill: var(--bad) }
"""


class Canvas:
    """A sheet to draw on, from the top to the bottom; `y` is how far down the last thing reaches."""

    def __init__(self, title: str, description: str, style: str = "") -> None:
        self.y = float(MARGIN)
        self._root = ET.Element(
            "svg",
            {"xmlns": "http://www.w3.org/2000/svg", "role": "img", "aria-label": printable(f"{title}. {description}")},
        )
        ET.SubElement(self._root, "title").text = printable(title)
        ET.SubElement(self._root, "desc").text = printable(description)
        ET.SubElement(self._root, "style").text = _STYLE + style
        self._definitions = ET.SubElement(self._root, "defs")
        self._page = ET.SubElement(self._root, "rect", {"class": "page", "rx": "8"})

    def define(self, tag: str, **attributes: object) -> ET.Element:
        """Something to be referred to, such as a pattern."""
        return ET.SubElement(self._definitions, tag, _attributes(attributes))

    def draw(self, tag: str, parent: ET.Element | None = None, **attributes: object) -> ET.Element:
        """A shape; an underscore in an attribute's name stands for a hyphen, and `kind` for `class`."""
        return ET.SubElement(self._root if parent is None else parent, tag, _attributes(attributes))

    def text(self, x: float, y: float, text: str, kind: str = "", parent: ET.Element | None = None) -> ET.Element:
        """A line of text on the base line `y`."""
        made = self.draw("text", parent, x=x, y=y, kind=kind)
        made.text = printable(text)
        return made

    def paragraph(self, text: str, kind: str = "", *, indent: float = 0, size: float = 13) -> None:
        """Text over the whole width, in as many lines as it takes, below what is there."""
        for line in wrapped(text, WIDTH - 2 * MARGIN - indent, size):
            self.y += size * 1.35
            self.text(MARGIN + indent, self.y, line, kind)

    def badge(self, x: float, y: float, text: str, *, bad: bool = False) -> None:
        """A disc with a letter or a number in it."""
        self.draw("circle", cx=x, cy=y, r=9, kind="badge bad-badge" if bad else "badge")
        self.text(x, y + 4.2, text, "badge-text")

    def svg(self) -> str:
        """The sheet as a document of its own."""
        height = f"{self.y + MARGIN:g}"
        self._root.set("viewBox", f"0 0 {WIDTH} {height}")
        self._page.attrib |= {"width": str(WIDTH), "height": height}
        return ET.tostring(self._root, encoding="unicode")


def wrapped(text: str, width: float, size: float = 13) -> list[str]:
    """A text in lines that are no wider than `width`, as far as that can be told without the font."""
    return textwrap.wrap(printable(text), max(8, int(width / (size * _CHARACTER))), break_on_hyphens=False) or [""]


def shortened(text: str, width: float, size: float = 13) -> str:
    """A text in one line, its end left out where there is no room for it."""
    room = max(4, int(width / (size * _CHARACTER)))
    return text if len(text) <= room else f"{text[: room - 1]}…"


def printable(text: str) -> str:
    """A text without what XML has no words for, such as a container's control characters."""
    return "".join(each if each.isprintable() else " " for each in text)


def _attributes(given: dict[str, object]) -> dict[str, str]:
    return {
        "class" if name == "kind" else name.replace("_", "-"): f"{value:g}"
        if isinstance(value, float)
        else printable(str(value))
        for name, value in given.items()
        if value not in (None, "")
    }
