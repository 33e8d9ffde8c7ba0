"""Take the pictures of the README: an experiment's page of a report, in light and dark and on a phone.

usage: python -m tools.screenshots REPORT FOLDER

REPORT is a page made by `make report`, of a run in which MariaDB's DNAT rule was deleted.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.browser import Report, opened, results

EXPERIMENT = "test_a_fault_is_named[MariaDB's DNAT rule is deleted]"
SCORE = "The doctor's score"
USAGE = 64  # sysexits.h


def main(arguments: list[str]) -> int:
    """Take all of them."""
    match arguments:
        case [page, folder] if Path(page).is_file():
            report, pictures = Path(page).resolve(), Path(folder)
        case _:
            sys.stderr.write("usage: python -m tools.screenshots REPORT FOLDER\n")
            return USAGE
    name = next((each["name"] for each in results(report) if each["name"].startswith(EXPERIMENT[:-1])), None)
    if name is None:
        sys.stderr.write(f"{report} has no {EXPERIMENT}: run the scenarios with -k 'DNAT rule is deleted' first\n")
        return 1
    pictures.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        with opened(report, scheme=scheme, width=960, height=900) as shown:
            shown.open(name)
            _show(shown, "timeline")
            shown.page.screenshot(path=pictures / f"timeline-{scheme}.png")
            shown.open(name)
            _show(shown, "topology while it was in")
            shown.page.screenshot(path=pictures / f"topology-{scheme}.png")
            shown.open(SCORE)
            shown.page.frame_locator("iframe").get_by_text("What was put in").wait_for()
            shown.page.screenshot(path=pictures / f"score-{scheme}.png")
    with opened(report, width=390, height=844) as shown:
        shown.open(name)
        _show(shown, "timeline")
        shown.page.screenshot(path=pictures / "phone.png")
    return 0


def _show(report: Report, name: str) -> None:
    """Unfold a picture, and have it at the top."""
    report.unfold(name)
    report.pictures()
    report.page.get_by_text(name, exact=True).last.evaluate("each => each.scrollIntoView({block: 'start'})")
    report.page.mouse.wheel(0, -60)  # what stays on top of the page covers its upper end


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
