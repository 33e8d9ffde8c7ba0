"""The pages made from the code are current, name everything, and are Markdown in which nothing is lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness import catalogues, cli
from harness.catalogues import pages
from harness.diagnosis.rules import rules
from harness.faults import catalogue

FAULTS, RULES = (pages()[catalogues.DOCS / name] for name in ("faults.md", "rules.md"))
ROWS = [re.split(r"(?<!\\)\|", line)[1:-1] for line in FAULTS.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("file", pages(), ids=lambda file: file.name)
def test_a_page_is_current(file: Path) -> None:
    """What is committed is what the code says now."""
    assert file.read_text(encoding="utf-8") == pages()[file], f"{file.name} is not current: make catalogue"


def test_every_fault_has_a_row_with_the_rules_that_name_it() -> None:
    """None is left out, each has four cells, and its third and fourth say what is seen and what is named."""
    cells = {row[0].strip().replace("\\", ""): row for row in ROWS}
    assert {len(row) for row in ROWS} == {4}
    for fault in catalogue():
        row = cells[fault.name.replace("\\", "")]
        assert row[1].strip()
        assert {*re.findall(r"\[([a-z-]+)\]\(rules\.md#\1\)", row[3])} == fault.roots | fault.tolerated
    assert len(cells) == len(catalogue()) + 1  # the heading, which every table has


def test_every_rule_has_a_section_with_cause_and_remedy() -> None:
    """Under its id, which is what links lead to."""
    sections = dict(re.findall(r"^### (\S+)$(.*?)(?=^##|\Z)", RULES, re.MULTILINE | re.DOTALL))
    assert list(sections) == [rule.id for rule in rules()]
    for rule in rules():
        assert re.search(r"- \*\*cause\*\*: \S.*\n- \*\*remedy\*\*: \S", sections[rule.id])
        assert ("**explained by**" in sections[rule.id]) is bool(rule.consequence_of)
        for fault in catalogue():
            named = re.search(rf"[:;] {re.escape(fault.name)}(;|$)", sections[rule.id].replace("\\", ""), re.MULTILINE)
            assert (named is not None) is (rule.id in fault.roots)


def test_a_group_says_the_same_as_its_members() -> None:
    """What stands for many rules is unfolded to exactly those that explain."""
    groups = dict(catalogues._GROUPS)
    links = re.compile(r"\[([a-z-]+)\]\(rules\.md")
    sections = dict(re.findall(r"^### (\S+)$(.*?)(?=^##|\Z)", RULES, re.MULTILINE | re.DOTALL))
    for rule in rules():
        line = next((line for line in sections[rule.id].splitlines() if line.startswith("- **explained by**")), "")
        unfolded = {*links.findall(line)}.union(*(group for name, group in groups.items() if f"*{name}*" in line))
        assert unfolded - {rule.id} == rule.consequence_of


@pytest.mark.parametrize("page", [FAULTS, RULES], ids=["faults", "rules"])
def test_a_line_closes_the_code_that_it_opens(page: str) -> None:
    """No backtick is left alone, nor a placeholder unfilled, nor HTML that would not be shown."""
    for line in page.splitlines():
        assert line.count("`") % 2 == 0, line
        assert not re.search(r"\{\{|\{\w+\}|\}\}", line), line
        assert line == catalogues._MADE or not re.search(r"(?<!\\)<", line), line


def test_the_command_prints_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    """`catalogue --rules` is docs/rules.md; nothing is written."""
    assert cli.main(["catalogue", "--rules"]) == 0
    assert capsys.readouterr().out == RULES


def test_the_command_writes_what_is_not_current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`catalogue --write` makes both pages."""
    monkeypatch.setattr(catalogues, "DOCS", tmp_path / "docs")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "rules.md").write_text("old", encoding="utf-8")
    assert cli.main(["catalogue", "--write"]) == 0
    assert {file.name: file.read_text(encoding="utf-8") for file in (tmp_path / "docs").iterdir()} == {
        "faults.md": FAULTS,
        "rules.md": RULES,
    }
