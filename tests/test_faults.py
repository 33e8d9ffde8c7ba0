"""The catalogue of faults, held against the rules that have to name them and the scenarios that put them in."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from harness import faults
from harness.diagnosis.rules import rules
from harness.faults import Fault, Stage, catalogue
from harness.model import Severity

from .conftest import ROOT
from .test_rules import PUBLISHED

FOLDER = Path(faults.__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
RULES = {rule.id: rule for rule in rules()}
SCENARIOS = importlib.import_module("scenarios.test_diagnosis")


def test_names_are_unique_and_read_as_words() -> None:
    """A name is the fault's key in the score, on the command line and in reports."""
    names = [fault.name for fault in catalogue()]
    assert len(set(names)) == len(names)
    for name in names:
        assert name == " ".join(name.split()) != ""
        assert " and " not in name, "pairs are called so"


@pytest.mark.parametrize("fault", catalogue(), ids=lambda fault: fault.name)
def test_a_fault_expects_rules_that_there_are(fault: Fault) -> None:
    """Every fault has a root, every benign change none; what is tolerated is a warning and no root besides."""
    assert fault.roots <= set(RULES)
    assert bool(fault.roots) is not fault.benign
    assert {RULES[each].severity for each in fault.tolerated} <= {Severity.WARNING}
    assert not fault.roots & fault.tolerated
    assert isinstance(fault.stage, Stage)
    assert fault.seen.strip() == fault.seen
    assert len(fault.seen) > 5


@pytest.mark.parametrize("module", MODULES)
def test_a_module_lists_its_cases(module: str) -> None:
    """Discovery passes no module over: each has faults of its own in `CASES`, and says in a line what they are."""
    loaded = importlib.import_module(f"harness.faults.{module}")
    assert loaded.CASES
    assert {type(case).__module__ for case in loaded.CASES} == {loaded.__name__}
    assert all(type(case).__dataclass_params__.frozen for case in loaded.CASES)
    assert set(loaded.CASES) <= set(catalogue())
    assert (loaded.__doc__ or "").strip()


def test_discovery_finds_as_many_faults_as_are_listed() -> None:
    """Nothing is listed twice, nothing left out."""
    listed = [case for module in MODULES for case in importlib.import_module(f"harness.faults.{module}").CASES]
    assert sorted(case.name for case in listed) == sorted(fault.name for fault in catalogue())


@pytest.mark.parametrize("folder", ["faults", "diagnosis/rules"])
def test_modules_of_one_kind_do_not_know_each_other(folder: str) -> None:
    """A fault or a rule can be taken out without any other noticing: none imports another."""
    found = 0
    for path in (ROOT / "harness" / folder).glob("*.py"):
        if path.stem == "__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = _imported(node)
            found += len(names)
            package = re.escape(f"harness.{folder.replace('/', '.')}.")
            siblings = [name for name in names if re.match(rf"{package}\w", name)]
            assert not siblings, f"{path.name} imports {siblings}"
            assert not isinstance(node, ast.ImportFrom) or node.level == 0, f"{path.name} imports relatively"
    assert found


def _imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(module=str(module)):
            modules = {path.stem for path in (ROOT / Path(*module.split("."))).glob("*.py")}
            return [module, *(f"{module}.{alias.name}" for alias in node.names if alias.name in modules)]
    return []


def test_every_fault_of_the_catalogue_is_put_in_by_a_scenario() -> None:
    """`scenarios/test_diagnosis.py` is parametrized with all faults and all benign changes, by their names."""
    parametrized: dict[str, set[str]] = {}
    for name in ("test_a_fault_is_named", "test_a_benign_change_is_no_fault"):
        (mark,) = [each for each in getattr(SCENARIOS, name).pytestmark if each.name == "parametrize"]
        parametrized[name] = {case.values[0] for case in mark.args[1]}
    assert parametrized["test_a_fault_is_named"] == {fault.name for fault in catalogue() if not fault.benign}
    assert parametrized["test_a_benign_change_is_no_fault"] == {fault.name for fault in catalogue() if fault.benign}


def test_every_pair_is_of_two_known_faults_with_unlike_roots() -> None:
    """Of two faults with one root it could not be told whether both were named."""
    known = {fault.name: fault for fault in catalogue() if not fault.benign}
    pairs = SCENARIOS.PAIRS
    assert len(set(map(frozenset, pairs))) == len(pairs) > 0
    for first, second in pairs:
        assert {first, second} <= set(known)
        assert not known[first].roots & known[second].roots


def test_published_rules_are_put_in_by_faults_or_known_not_to_be() -> None:
    """What no fault of the catalogue brings about is judged from hand-written evidence alone; here is the list."""
    named = {root for fault in catalogue() for root in fault.roots}
    assert set(PUBLISHED.split()) - named == {
        "handshake-stale",
        "interface-missing",
        "reverse-path-filter",
        "undiagnosed",
    }
