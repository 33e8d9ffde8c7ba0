"""Print how many tests JUnit files hold and how they ended, on one line.

usage: counts.py FILE...
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET


def counts(files: list[Path]) -> Counter[str]:
    """Count the tests of every file by their end."""
    total: Counter[str] = Counter()
    for file in files:
        for case in ET.parse(file).getroot().iter("testcase"):
            ends = {child.tag for child in case} & {"failure", "error", "skipped"}
            total["failed" if ends & {"failure", "error"} else "skipped" if ends else "passed"] += 1
    return total


def main(arguments: list[str]) -> int:
    """Print the line; a file that is not there held no tests."""
    total = counts([file for file in map(Path, arguments) if file.is_file()])
    sys.stdout.write(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
