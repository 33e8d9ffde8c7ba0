"""The workflows do nothing that cannot be typed by hand, and take no more power than they use."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.addresses import LAYOUTS
from harness.nights.legs import of_workflow

from .conftest import ROOT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
NIGHTLY = ROOT / ".github" / "workflows" / "nightly.yml"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", MAKEFILE, re.MULTILINE))

IMAGES = {"mariadb": {None, "mariadb:11.8", "mariadb:10.11"}, "redis": {None, "redis:8", "redis:7", "valkey/valkey:8"}}


def workflow(file: Path) -> dict[Any, Any]:
    loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def steps(file: Path) -> Iterator[dict[str, Any]]:
    for job in workflow(file)["jobs"].values():
        yield from job["steps"]


def legs() -> list[dict[str, str]]:
    found = workflow(NIGHTLY)["jobs"]["scenarios"]["strategy"]["matrix"]["include"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_step_that_runs_something_is_one_target_of_make(file: Path) -> None:
    """So that whatever fails there can be tried here; nothing of GitHub's is pasted into a command."""
    commands = [step["run"] for step in steps(file) if "run" in step]
    assert commands
    for command in commands:
        found = re.fullmatch(r"make ([a-z-]+)", command)
        assert found, f"{command!r} is no plain target of make"
        assert found[1] in TARGETS, f"make has no target {found[1]}"


def test_every_target_is_declared_and_explained() -> None:
    """None is taken for a file of its name, and `make help` lists them all."""
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert set(phony[1].replace("\\\n", " ").split()) == TARGETS
    assert set(re.findall(r"^([a-z-]+):.* ## ", MAKEFILE, re.MULTILINE)) | {"test"} == TARGETS


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_actions_are_pinned_and_powers_are_few(file: Path) -> None:
    """A commit and its version beside it; no job may write anything but the one that publishes."""
    text = file.read_text(encoding="utf-8")
    used = re.findall(r"uses: (.*)", text)
    assert used
    for action in used:
        assert re.fullmatch(r"actions/[a-z/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
    loaded = workflow(file)
    assert loaded["permissions"] == {"contents": "read"}
    assert loaded["concurrency"]["group"]
    powers = {name: job["permissions"] for name, job in loaded["jobs"].items() if "permissions" in job}
    assert powers == ({"publish": {"pages": "write", "id-token": "write"}} if file == NIGHTLY else {})
    assert all(job["timeout-minutes"] <= 60 for job in loaded["jobs"].values())


def test_what_a_leg_left_is_kept_whatever_becomes_of_it() -> None:
    """Results are uploaded always, under a name that a second attempt does not take."""
    uploads = [step for file in FILES for step in steps(file) if "upload-artifact@" in step.get("uses", "")]
    assert len(uploads) >= 4
    for step in uploads:
        assert "github.run_attempt" in step["with"]["name"]
    legs_kept = next(step for step in uploads if step["with"]["name"].startswith("leg-"))
    assert legs_kept["if"] == "always()"
    assert workflow(NIGHTLY)["jobs"]["scenarios"]["strategy"]["fail-fast"] is False


def test_a_night_of_the_default_branch_is_published() -> None:
    """By schedule, whose event need not describe the repository, or by hand; never that of another branch."""
    condition = " ".join(workflow(NIGHTLY)["jobs"]["publish"]["if"].split())
    assert condition == (
        "${{ !cancelled() && needs.report.outputs.site == 'success' "
        "&& (github.event_name == 'schedule' || github.ref_name == github.event.repository.default_branch) }}"
    )
    triggers = workflow(NIGHTLY)[True]  # what YAML 1.1 makes of `on`
    assert set(triggers) == {"schedule", "workflow_dispatch"}


def test_the_matrix_meets_what_it_has_to() -> None:
    """Both layouts in full on either WireGuard; each image on both layouts and on either WireGuard, and no others."""
    own = [leg for leg in legs() if not leg.get("mariadb") and not leg.get("redis")]
    product = set(itertools.product(LAYOUTS, ("kernel", "userspace")))
    assert {(leg["layout"], leg["implementation"]) for leg in own} == product
    for leg in own:
        assert (leg.get("arguments") == "--thorough") is (leg["layout"] == "prod"), leg
    for kind, images in IMAGES.items():
        assert {leg.get(kind) for leg in legs()} == images
        for image in images - {None}:
            met = [leg for leg in legs() if leg.get(kind) == image]
            assert {leg["layout"] for leg in met} == set(LAYOUTS), image
            assert {leg["implementation"] for leg in met} == {"kernel", "userspace"}, image


def test_every_python_that_set_up_takes_is_met() -> None:
    """With tests and scenarios of both layouts; the machines have one of their own, on which all else runs."""
    taken = set(re.findall(r"python(3\.\d+)", (ROOT / "tools" / "lib" / "python.sh").read_text(encoding="utf-8")))
    job = workflow(NIGHTLY)["jobs"]["pythons"]
    assert {*job["strategy"]["matrix"]["python"], "3.12"} == taken
    assert job["runs-on"] == "ubuntu-24.04"
    assert job["env"] == {"LAYOUT": ",".join(LAYOUTS)}
    unit, scenarios = (step for step in job["steps"] if "run" in step)
    assert (unit["run"], scenarios["run"]) == ("make unit", "make scenarios")
    assert unit["env"] == {"PYTHON": "${{ steps.python.outputs.python-path }}"}  # root has another PATH


def test_prod_is_root_s_and_dev_anybody_s() -> None:
    """Servers have files of root's; that nobody has to be root for dev is seen every night."""
    as_root = "sudo --preserve-env bash -e {0}"
    jobs = workflow(NIGHTLY)["jobs"]
    shell = jobs["scenarios"]["defaults"]["run"]["shell"]
    assert shell == f"${{{{ matrix.layout == 'prod' && '{as_root}' || 'bash -e {{0}}' }}}}"
    assert {step["shell"] for step in jobs["pythons"]["steps"] if "run" in step} == {as_root}


def test_each_leg_is_whole_and_has_one_meaning() -> None:
    """Its shards are all there, and differ in nothing else."""
    assert len(of_workflow(NIGHTLY)) == len({leg["leg"] for leg in legs()})
    for one, other in itertools.combinations(legs(), 2):
        alike = {**one, "shard": ""} == {**other, "shard": ""}
        assert alike is (one["leg"] == other["leg"])


def test_every_setting_of_a_leg_reaches_make() -> None:
    """A key of the matrix that nobody reads would test nothing of what it says."""
    environment = workflow(NIGHTLY)["jobs"]["scenarios"]["env"]
    read = set(re.findall(r"matrix\.([a-z]+)", " ".join(environment.values())))
    assert read == {key for leg in legs() for key in leg}
    settings = {"LEG", "LAYOUT", "SHARD", "WG_IMPLEMENTATION", "MARIADB_IMAGE", "REDIS_IMAGE", "ARGS"}
    assert set(environment) == settings
