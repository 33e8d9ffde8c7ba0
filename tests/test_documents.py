"""What the documents point at exists: scenarios of the checklist, files, headings."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from harness.addresses import LAYOUTS
from harness.nights.legs import of_workflow

from .conftest import ROOT

CHECKLIST = ROOT / "docs" / "checklist.md"
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "ansible").glob("*.md")),
)

LINES = """
Generate WireGuard keys correctly (private -> derive public)
Encrypt keys in Ansible vault
Update docker-compose.prod.yml with subnet 10.101.0.0/24
Configure WG_FORWARD_PORTS with destination IPs
Assign static IPs to services containers
Set DATABASE_* environment variables (not DB_*)
Deploy with correct profile (web or services)
Verify tunnel handshake (non-zero timestamp)
Verify data transfer (bytes received > 0)
Test database connectivity from web container
Verify iptables forwarding rules
Check application health endpoints
""".strip().splitlines()

_LINE = re.compile(r"^- \[ \] \*\*(?P<words>.+)\*\* \((?P<layouts>[a-z, ]+)\)$", re.MULTILINE)
_SCENARIO = re.compile(r"^  - \[(?P<test>test_\w+)\]\((?P<file>\S+\.py)\)", re.MULTILINE)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<words>.+)$", re.MULTILINE)
_EXAMPLE = re.compile(r"^```python\n# (?P<file>\S+)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def sections() -> dict[str, tuple[list[str], list[tuple[str, str]]]]:
    """Each line of the checklist: the layouts beside it, and its scenarios as names and files."""
    text = CHECKLIST.read_text(encoding="utf-8")
    found = list(_LINE.finditer(text))
    ends = [each.start() for each in found[1:]] + [len(text)]
    return {
        each["words"]: (
            each["layouts"].split(", "),
            [(link["test"], link["file"]) for link in _SCENARIO.finditer(text[each.end() : end])],
        )
        for each, end in zip(found, ends, strict=True)
    }


@cache
def scenarios(file: Path) -> dict[str, frozenset[str]]:
    """The layouts on which each scenario of a file runs."""
    module = ast.parse(file.read_text(encoding="utf-8"))
    everywhere = [node.value for node in module.body if isinstance(node, ast.Assign) and _is_pytestmark(node)]
    return {
        node.name: _layouts([*everywhere, *node.decorator_list])
        for node in module.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def _is_pytestmark(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets)


def _layouts(marks: list[ast.expr]) -> frozenset[str]:
    """What markers leave of the layouts; one on a single parameter leaves the scenario itself everywhere."""
    for mark in marks:
        for call in mark.elts if isinstance(mark, ast.List | ast.Tuple) else [mark]:
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.layouts":
                return frozenset(ast.literal_eval(argument) for argument in call.args)
    return frozenset(LAYOUTS)


def test_the_checklist_is_the_documented_one() -> None:
    """All twelve lines, in their order and in their words; nothing that looks like a line is passed over."""
    assert list(sections()) == LINES
    text = CHECKLIST.read_text(encoding="utf-8")
    assert text.count("- [ ]") == len(LINES)
    assert len(_SCENARIO.findall(text)) == text.count("\n  - ")


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_checklist_is_held_by_scenarios(line: str) -> None:
    """Each has scenarios; all exist, and together they run on the layouts that stand beside the line, and no others."""
    layouts, links = sections()[line]
    assert links
    run_on: set[str] = set()
    for test, file in links:
        there = scenarios((CHECKLIST.parent / file).resolve())
        assert test in there, f"{file} has no {test}"
        run_on |= there[test]
    assert run_on == set(layouts)


def test_a_scenario_is_known_by_its_markers(tmp_path: Path) -> None:
    """The reader of scenarios sees a function's marker, a module's, and none where only a parameter has it."""
    file = tmp_path / "test_sample.py"
    file.write_text(
        "@pytest.mark.layouts('prod')\ndef test_one(): ...\n"
        "@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.layouts('dev'))])\ndef test_two(): ...\n",
        encoding="utf-8",
    )
    assert scenarios(file) == {"test_one": {"prod"}, "test_two": set(LAYOUTS)}
    other = tmp_path / "test_other.py"
    other.write_text("pytestmark = [pytest.mark.layouts('dev')]\ndef test_three(): ...\n", encoding="utf-8")
    assert scenarios(other) == {"test_three": {"dev"}}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_points_at_what_is_there(document: Path) -> None:
    """Every link to a file of the project leads to one, and to a heading that it has."""
    for link in _LINK.finditer(_FENCE.sub("", document.read_text(encoding="utf-8"))):
        target, _, anchor = link["target"].partition("#")
        if "://" in target:
            continue
        file = (document.parent / target).resolve() if target else document
        assert file.exists(), f"{document.name} points at {target}"
        if anchor:
            assert anchor in _anchors(file), f"{document.name} points at {target}#{anchor}"


@pytest.mark.parametrize("example", _EXAMPLE.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
def test_an_example_of_how_to_contribute_is_the_code_itself(example: tuple[str, str]) -> None:
    """It stands in the file that its first line names, word for word."""
    file, code = example
    assert code in (ROOT / file).read_text(encoding="utf-8"), f"CONTRIBUTING.md shows {file} otherwise than it is"


def test_there_are_examples_of_how_to_contribute() -> None:
    """Every block of Python in it is one that the test above compares, and a rule is among them."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    examples = _EXAMPLE.findall(text)
    assert text.count("```python") == len(examples)
    assert any("rules/" in file for file, _ in examples)


def test_the_legs_of_ones_own_that_are_shown_can_be_merged(tmp_path: Path) -> None:
    """What docs/nightly.md gives as `mine.yml` is a matrix, of the legs that its commands run."""
    text = (ROOT / "docs" / "nightly.md").read_text(encoding="utf-8")
    found = re.search(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found
    (tmp_path / "mine.yml").write_text(found[1], encoding="utf-8")
    run = set(re.findall(r"^\$ make scenarios LEG=(\S+)", text, re.MULTILINE))
    assert {leg.name for leg in of_workflow(tmp_path / "mine.yml")} == run


def _anchors(file: Path) -> set[str]:
    """The names by which a document's headings are linked to."""
    text = _FENCE.sub("", file.read_text(encoding="utf-8"))
    headings = (each["words"].lower() for each in _HEADING.finditer(text))
    return {re.sub(r"[^\w\- ]", "", words).replace(" ", "-") for words in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_document_advises_to_prune_what_a_deployment_is_found_by(document: Path) -> None:
    """Leases are containers that never run, and marks are volumes that nobody uses: such prunings take them away."""
    text = document.read_text(encoding="utf-8")
    advised = re.findall(r"^.*(?:[Tt]hen|^\||: ) ?`docker (?:system|container|volume) prune.*$", text, re.MULTILINE)
    assert advised == []
