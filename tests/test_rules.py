"""What holds for all rules of diagnosis, and that none goes without a test."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from harness.diagnosis import rules as diagnosis
from harness.diagnosis.judgement import UNDIAGNOSED
from harness.diagnosis.rules import BREAKS_A_PATH, Rule, rules

from . import rule_cases, test_rules_paths, test_rules_shapes, test_rules_tunnel, test_rules_way
from .evidence_samples import Sample

# The ids that were published. Ids may be added and are never renamed: people go by them in scripts.
PUBLISHED = """
peer-key-mismatch preshared-key-mismatch private-key-invalid peer-key-is-own key-reused subnet-overlap
address-duplicated address-missing route-missing allowed-ips-missing endpoint-wrong peer-unreachable handshake-stale
forwarding-disabled reverse-path-filter forward-rule-missing forward-rule-wrong-destination
forward-rule-wrong-protocol forward-rule-shadowed forward-setting-malformed forward-dropped return-path-missing
namespace-orphaned app-outside-gateway capability-missing interface-missing container-down backend-down
backend-address-moved backend-not-listening credentials-rejected grant-missing setting-missing setting-misnamed
setting-malformed name-unresolvable path-mtu packet-loss port-exposed tunnel-bypassed fail-open secret-permissions
undiagnosed
"""

ALL = {rule.id: rule for rule in rules()}
FOLDER = Path(diagnosis.__file__).parent


def test_ids_are_unique() -> None:
    """No two rules share an id, and none takes the one that means that no rule explains a failure."""
    assert len(ALL) == len(rules())
    assert UNDIAGNOSED not in ALL


def test_every_published_id_is_a_rule() -> None:
    """What was published exists under its name."""
    assert set(PUBLISHED.split()) - set(ALL) == {UNDIAGNOSED}


def test_every_file_of_rules_is_found() -> None:
    """Discovery leaves no file out: each has the rules that it was written for, named after it."""
    files = {path.stem.replace("_", "-") for path in FOLDER.glob("*.py")} - {"--init--"}
    assert files <= set(ALL)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_a_rule_is_the_root_of_some_snapshot_and_not_of_its_neighbour(rule: Rule[object]) -> None:
    """Every rule has a snapshot that makes it the root; the healthy sample and the neighbours never do."""
    assert test_rules_shapes.MODULES  # which have put their cases there
    modules = (test_rules_tunnel, test_rules_paths, test_rules_way, rule_cases)
    broken = [case for module in modules for case in module.cases.broken]
    assert any(rule.id in case.roots for case in broken), f"no case makes {rule.id} a root"
    assert rule.id not in Sample().diagnosis.roots


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_a_rule_is_explained_by_rules_that_exist(rule: Rule[object]) -> None:
    """`consequence_of` has no misspelt id and not the rule's own."""
    assert rule.consequence_of <= set(ALL) - {rule.id}


def test_no_rules_explain_each_other() -> None:
    """Going from finding to cause never leads round in a circle: of whatever is found something stays a root."""

    def causes(rule: str, way: tuple[str, ...]) -> None:
        assert rule not in way, f"{' because of '.join((*way, rule))}"
        for cause in sorted(ALL[rule].consequence_of - seen):
            causes(cause, (*way, rule))
        seen.add(rule)

    seen: set[str] = set()
    for rule in ALL:
        causes(rule, ())


def test_what_breaks_a_path_is_known() -> None:
    """The sets by which rules explain each other name rules that exist."""
    assert set(ALL) >= BREAKS_A_PATH


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_a_rules_words_are_filled_in(rule: Rule[object]) -> None:
    """Cause and remedy name the node, and a title says what is wrong without one."""
    fields = {name for text in (rule.cause, rule.remedy) for _, name, _, _ in string.Formatter().parse(text) if name}
    assert all(name.isidentifier() for name in fields)
    assert "{" not in rule.title
    assert rule.cause
    assert rule.remedy


def test_no_rule_reads_anything_but_evidence() -> None:
    """Diagnosis does no input or output: it imports nothing of the harness that does, and no file, clock or process."""
    allowed = {
        "__future__",
        "collections",
        "dataclasses",
        "typing",
        "ipaddress",
        "re",
        "itertools",
        "importlib",
        "errno",
        "math",
    }
    allowed |= {"pkgutil", "functools", "harness"}
    pure = {"addresses", "containers", "diagnosis", "errors", "evidence", "facts", "journeys", "model", "nodefacts"}
    pure |= {"packetpath", "roles", "sealing", "settings", "wireguard", "appfacts", "gatewayfacts", "containerfacts"}
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [
                    f"{node.module}.{each.name}" if node.module == "harness" else str(node.module)
                    for each in node.names
                ]
            else:
                continue
            for name in names:
                top, _, rest = name.partition(".")
                assert top in allowed, f"{path.name} imports {name}"
                assert top != "harness" or rest.partition(".")[0] in pure, f"{path.name} imports {name}"
