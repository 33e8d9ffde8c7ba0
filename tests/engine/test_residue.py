"""The look for residue at the end of a session: whatever is planted is found, and what is none of ours is not."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from docker.errors import NotFound
from docker.types import IPAMConfig, IPAMPool

from harness import command, layouts, leases, lifecycle, orphans, places, residue
from harness.addresses import AddressPlan
from harness.engine import Engine
from harness.images import PROBE
from harness.ownership import LABEL, OWNER, Owner, Run
from harness.stage import Stage

from .bystanders import FOREIGN
from .runs import ENVIRONMENT, finish, pytest_on

TIMEOUT = 30.0  # seconds, for commands that take milliseconds
ME = Owner.current()
DEAD = replace(ME, started="1")
"""A process whose number is in use again, by this one: it has ended for sure."""

Plant = Callable[[Engine, Run, ExitStack], str]


@pytest.fixture
def plan(stage: Stage) -> AddressPlan:
    """A plan that no worker's own deployment uses."""
    return AddressPlan(index=stage.plan.index + 11)


@pytest.fixture
def ended(plan: AddressPlan) -> Run:
    """A run whose process has ended."""
    return replace(Run.start(plan.index), owner=DEAD)


def container(engine: Engine, run: Run, undo: ExitStack) -> str:
    """A container that runs."""
    made = engine.client.containers.run(
        PROBE, entrypoint=["sleep", "infinity"], name=f"left-{run.id}", labels=run.labels(), network_mode="none",
        init=True, detach=True,
    )  # fmt: skip
    undo.callback(made.remove, force=True)
    return f"container left-{run.id} of run {run.id}"


def lease(engine: Engine, run: Run, undo: ExitStack) -> str:
    """A lease and nothing else."""
    leases.take(engine, run)
    undo.callback(lambda: engine.client.containers.get(leases.lease_name(run.plan)).remove(force=True))
    return f"container {leases.lease_name(run.plan)} of run {run.id}"


def network(engine: Engine, run: Run, undo: ExitStack) -> str:
    """A network."""
    undo.callback(engine.client.networks.create(f"left-{run.id}", labels=run.labels(), internal=True).remove)
    return f"network left-{run.id} of run {run.id}"


def volume(engine: Engine, run: Run, undo: ExitStack) -> str:
    """A volume."""
    undo.callback(engine.client.volumes.create(f"left-{run.id}", labels=run.labels()).remove, force=True)
    return f"volume left-{run.id} of run {run.id}"


def folder(engine: Engine, run: Run, undo: ExitStack) -> str:
    """A folder of state, with secrets, of a run that was killed before it had made anything on the engine."""
    undo.callback(shutil.rmtree, run.state, ignore_errors=True)
    layouts.begin(engine, run)
    (run.state / "secret").touch()
    return f"folder {run.state} "


def scratch(_engine: Engine, run: Run, undo: ExitStack) -> str:
    """A temporary folder."""
    with orphans.scratch() as own:
        path = own.with_name(own.name.replace(f"-{ME.pid}-{ME.started}-", f"-{run.owner.pid}-{run.owner.started}-"))
    path.mkdir(exist_ok=True)
    undo.callback(shutil.rmtree, path, ignore_errors=True)
    return f"temporary folder {path} "


def process(_engine: Engine, run: Run, undo: ExitStack) -> str:
    """A process, in a session of its own as commands are."""
    sleeper = [sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"]
    log = places.STATE / f"sleeper-{run.id}"
    places.STATE.mkdir(mode=0o700, exist_ok=True)
    undo.callback(log.unlink)
    started = undo.enter_context(command.background(sleeper, log=log, env={orphans.MARK: str(run.owner)}))
    return f"process {started.pid} goes on"


PLANTED: dict[str, Plant] = {
    plant.__name__: plant for plant in (container, lease, network, volume, folder, scratch, process)
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_an_ended_run_left_is_found_and_swept(engine: Engine, ended: Run, name: str) -> None:
    """Each kind of thing by itself is named in one sentence; a sweep removes it, and then there is nothing."""
    with contextlib.suppress(NotFound), ExitStack() as undo:  # what is to be undone is swept already
        wanted = PLANTED[name](engine, ended, undo)
        assert len(found := naming(engine, wanted)) == 1, list(residue.look(engine))
        assert ": " in found[0], "it says what to do"
        lifecycle.sweep(engine, say=lambda _line: None)
        assert naming(engine, wanted) == []


@pytest.mark.parametrize("name", PLANTED)
def test_what_this_session_left_is_found(engine: Engine, ended: Run, name: str) -> None:
    """What this very process has made and forgotten is named as well, and is not swept: it may still be in use."""
    own = replace(ended, owner=ME)
    with ExitStack() as undo:
        wanted = PLANTED[name](engine, own, undo)
        assert len(naming(engine, wanted)) == 1
        lifecycle.sweep(engine, say=lambda _line: None)
        assert len(naming(engine, wanted)) == 1


@pytest.mark.parametrize("name", PLANTED)
def test_what_belongs_to_a_living_run_is_none(engine: Engine, ended: Run, name: str) -> None:
    """Another run that is alive may have all of that."""
    with ExitStack() as undo:
        parent = replace(ME, pid=1, started=Path("/proc/1/stat").read_text(encoding="ascii").split()[21])
        wanted = PLANTED[name](engine, replace(ended, owner=parent), undo)
        assert naming(engine, wanted) == []


def test_what_was_kept_on_purpose_is_none(engine: Engine, ended: Run) -> None:
    """A deployment that was kept outlives its run."""
    with contextlib.suppress(NotFound), ExitStack() as undo:  # the removal takes the volume as well
        wanted = volume(engine, ended, undo)
        assert naming(engine, wanted)
        leases.keep(engine, ended)
        undo.callback(lifecycle.remove, engine, ended, say=lambda _line: None, graceful=False)
        assert naming(engine, ended.id) == []


def test_a_label_without_an_owner_is_told(engine: Engine, ended: Run) -> None:
    """What bears the harness's label and does not say whose it is, nobody would ever remove."""
    labels = {name: text for name, text in ended.labels().items() if name != OWNER}
    made = engine.client.volumes.create(f"left-{ended.id}", labels=labels)
    try:
        (found,) = naming(engine, f"left-{ended.id}")
        assert "none that says whose it is" in found
    finally:
        made.remove()


def test_what_is_somebody_elses_is_none(engine: Engine, ended: Run) -> None:
    """A foreign volume, whatever its name is."""
    assert LABEL not in FOREIGN
    made = engine.client.volumes.create(f"wireguard-harness-{ended.id}", labels=FOREIGN)
    try:
        assert naming(engine, ended.id) == []
    finally:
        made.remove()


# --- on the engine's machine ------------------------------------------------------------------------


@pytest.fixture
def bridge(plan: AddressPlan) -> Iterator[str]:
    """What an engine has left of a network: a bridge with our address, and one end of a pair plugged into it."""
    name, ends = f"br-{plan.index:012x}", (f"left{plan.index}a", f"left{plan.index}b")
    if not command.run(["ip", "link", "add", name, "type", "bridge"], timeout=TIMEOUT, check=False).ok:
        pytest.skip("interfaces can be made only by root, on the engine's own machine")
    try:
        ip("address", "add", f"{plan.tunnel_net[1]}/24", "dev", name)
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        ip("link", "set", ends[0], "master", name)
        yield name
    finally:
        command.run(["ip", "link", "delete", ends[0]], timeout=TIMEOUT, check=False)
        ip("link", "delete", name)


def test_an_interface_is_found(engine: Engine, bridge: str) -> None:
    """The bridge and what is plugged into it are named; the same bridge with an address of nobody's plan is not."""
    found = naming(engine, bridge)
    assert len(found) == 2, found
    assert any("plugged into" in line and "ip link delete left" in line for line in found)
    ip("address", "flush", "dev", bridge)
    ip("address", "add", "10.97.0.1/24", "dev", bridge)
    assert naming(engine, bridge) == []


RULES = {
    "masquerade": (True, "nat", "POSTROUTING -s {subnet} ! -o br-00000000ffff -j MASQUERADE"),
    "forward": (True, "filter", "DOCKER -d {address}/32 ! -i br-00000000ffff -o br-00000000ffff -j ACCEPT"),
    "translate": (True, "nat", "DOCKER ! -i br-00000000ffff -p tcp --dport 9 -j DNAT --to-destination {address}:9"),
    "the user's own": (False, "filter", "DOCKER-USER -s {subnet} ! -o br-00000000ffff -j RETURN"),
    "no engine's": (False, "nat", "POSTROUTING -s {subnet} -o lo -j MASQUERADE"),
    "another subnet's": (False, "nat", "POSTROUTING -s 10.97.0.0/24 ! -o br-00000000ffff -j MASQUERADE"),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_found(engine: Engine, plan: AddressPlan, name: str) -> None:
    """A rule by which the engine served a subnet of ours is named with its table; what people wrote is not."""
    ours, table, text = RULES[name]
    rule = text.format(subnet=plan.tunnel_net, address=plan.underlay_web).split()
    if not command.run(["iptables", "-t", table, "-A", *rule], timeout=TIMEOUT, check=False).ok:
        pytest.skip("rules can be made only by root, on the engine's own machine")
    try:
        found = [line for line in naming(engine, "br-00000000ffff") if f"table {table}" in line]
        assert len(found) == (1 if ours else 0), found
    finally:
        command.run(["iptables", "-t", table, "-D", *rule], timeout=TIMEOUT)


def test_rules_of_a_network_that_is_there_are_none(engine: Engine, ended: Run, plan: AddressPlan) -> None:
    """While the network is there nothing about its rules and its bridge is said."""
    pools = IPAMConfig(pool_configs=[IPAMPool(subnet=str(plan.tunnel_net))])
    made = engine.client.networks.create(f"left-{ended.id}", labels=replace(ended, owner=ME).labels(), ipam=pools)
    try:
        bridge = f"br-{str(made.id)[:12]}"
        saved = command.run(["iptables-save", "-t", "nat"], timeout=TIMEOUT, check=False)
        if not saved.ok:
            pytest.skip("rules can be read only by root, on the engine's own machine")
        assert bridge in saved.stdout, "the engine made no rule for it"
        assert [line for line in residue.look(engine) if bridge in line] == []
    finally:
        made.remove()


def test_rules_that_cannot_be_read_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the program fails nobody knows what there is, and that is said; it fails no session that left nothing."""
    broken = tmp_path / "iptables-save"
    broken.write_text("#!/bin/sh\necho 'table nat is incompatible' >&2\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    said: list[str] = []
    found = residue.settle(say=said.append)
    assert not [line for line in found if "cannot be told" in line]
    assert "whether iptables rules are left cannot be told: `iptables-save` fails (table nat is incompatible)" in said


# --- a whole session --------------------------------------------------------------------------------

FORGETFUL = '''
"""One test, which passes and forgets something."""
from harness.ownership import LABEL

def test_forgets(engine):
    engine.client.volumes.create({name!r}, labels={{LABEL: "somebody's"}})
'''
TIDY = '''
"""One test, which passes."""

def test_looks(engine):
    assert engine.version()
'''


def test_a_session_that_leaves_something_fails(engine: Engine, plan: AddressPlan, tmp_path: Path) -> None:
    """All its tests pass, and it ends with 1 and a sentence on what is left; without that it ends with 0."""
    name = f"left-by-session-{plan.index}"
    (tmp_path / "test_session.py").write_text(TIDY, encoding="utf-8")
    tidy = finish(pytest_on(tmp_path / "test_session.py", plan))
    assert tidy.exit_status == 0, tidy
    (tmp_path / "test_session.py").write_text(FORGETFUL.format(name=name), encoding="utf-8")
    try:
        forgetful = finish(pytest_on(tmp_path / "test_session.py", plan), ENVIRONMENT)
    finally:
        engine.client.volumes.get(name).remove()
    assert "1 passed" in forgetful.stdout, forgetful
    assert forgetful.exit_status == pytest.ExitCode.TESTS_FAILED, forgetful
    assert f"left behind: volume {name}" in forgetful.stdout, forgetful


def naming(engine: Engine, what: str) -> list[str]:
    """The findings about one thing: others may be at work on the same engine."""
    return [line for line in residue.look(engine) if what in line]


def ip(*arguments: str) -> None:
    """Run `ip`."""
    command.run(["ip", *arguments], timeout=TIMEOUT)
