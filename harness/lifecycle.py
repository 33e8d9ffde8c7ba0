"""Bringing a deployment up, taking it down, attaching to one that is up, and sweeping what dead runs left."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from docker.errors import APIError, NotFound

from harness import layouts, leases, makeup, orphans, places, preflight, readiness, recreation, stock
from harness.addresses import AddressPlan
from harness.bringup import BRING_UP
from harness.deployment import Deployment
from harness.engine import Engine, Listed
from harness.errors import CommandError, DeploymentError, HarnessError, HeldError, PrerequisiteError, WaitTimeoutError
from harness.foreign.plan import ForeignPlan
from harness.interrupts import held_back
from harness.model import Budget
from harness.ownership import LABEL, Liveness, Owner, Run
from harness.timeline import Timeline
from harness.waiting import Deadline, pause, wait_until

Say = Callable[[str], None]

_STOP_GRACE = 5  # seconds; the compose file's stop_grace_period
_REMOVAL = Budget(
    seconds=60,
    poll=0.1,
    reason="the engine finishes what a killed compose had asked of it, so a container may still come, seen 0.3 s late; "
    "a simulated server takes a disk of its own along, which takes 8 s, and was seen to take 25 on a loaded machine",
)


@contextlib.contextmanager
def deployed(  # noqa: PLR0913 (what a deployment can be asked to be)
    engine: Engine,
    plan: AddressPlan,
    *,
    keep: bool = False,
    reuse: bool = False,
    say: Say,
    timeline: Timeline | None = None,
) -> Iterator[Deployment]:
    """A deployment that is up and healthy; taken down at the end unless it is kept.

    `reuse` attaches to a deployment that is up, creates anew what of it has changed, and leaves it up; when there is
    none, or too much of it has changed, one is brought up (one that is replaced stays up as the old one did). What
    bringing it up spends its time on is added to `timeline`.
    """
    if reuse and (found := attach(engine, plan, say=say)):
        yield found
        return
    if reuse and is_kept(engine, plan) and (held := leases.holder(engine, plan.index)):
        remove(engine, held, say=say)
        keep = True
    deployment = bring_up(engine, plan, keep=keep, say=say, timeline=timeline)
    try:
        yield deployment
    finally:
        if leases.is_kept(engine, deployment.run):
            layout = f" LAYOUT={plan.layout}" if plan.layout == "prod" else ""
            on_plan = f' ARGS="--plan {plan.index}"' if plan.index else ""
            say(f"left up on purpose: {plan.project} (`make down{layout}{on_plan}` removes it)")
        else:  # nobody will miss what was in it: no need to let each process end in its own time
            remove(engine, deployment.run, say=say, graceful=False)


def bring_up(
    engine: Engine, plan: AddressPlan, *, keep: bool = False, say: Say, timeline: Timeline | None = None
) -> Deployment:
    """Bring a deployment up with fresh keys; images must be there.

    Raises `PrerequisiteError` when somebody else has the plan, or takes a part of it in the meantime, `BringUpError`
    and others. Whatever goes wrong, Ctrl-C included, nothing of it is left behind.
    """
    took = Deadline(0)
    timeline = timeline or Timeline()
    run = Run.start(plan.index, layout=plan.layout)
    files = layouts.files(plan, run)
    with (
        timeline.phase("sweep, checks and configuration"),
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="configuration") as pool,
    ):
        configuring = pool.submit(files.configuration)
        sweep(engine, say=say)
        preflight.require_free(engine, plan)
    configuration = configuring.result()
    if not isinstance(plan, ForeignPlan):  # where that one's tunnel is, is seen when it runs
        preflight.require_sound(configuration)
    try:
        deployment = layouts.provide(engine, plan, run, files, configuration, say, timeline)
        if keep:
            leases.keep(engine, run)
    except BaseException as error:
        with held_back(say):
            remove(engine, run, say=say, graceful=False)
        if isinstance(error, HarnessError | APIError) and (lines := preflight.in_the_way(engine, plan)):
            raise PrerequisiteError(*lines) from error  # who came just after the check had found the plan free
        raise
    say(f"{plan.project}: healthy after {took.elapsed:.1f} s")
    return deployment


def attach(engine: Engine, plan: AddressPlan, *, say: Say) -> Deployment | None:
    """The kept deployment of a plan, when it is up, healthy, and made of what the files say now; else None.

    Where some of its services are not what the files and images say now, these are created anew first.
    Raises `HeldError` when the plan is held by a run that is not a kept deployment of this layout.
    """
    run = leases.holder(engine, plan.index)
    if run is None:
        say(f"{plan.project}: nothing is up that could be used again")
        return None
    if not is_kept(engine, plan):
        if run.owner.liveness() is Liveness.DEAD:
            return None
        raise HeldError(leases.describe_holder(engine, plan.index))
    deployment = layouts.view(engine, plan, run)
    if not makeup.is_current(engine, run, layouts.files(plan, run)) and not _renew(deployment, say=say):
        return None
    unwell = deployment.unwell()
    if not unwell and plan.layout == "dev" and engine.is_local and (said := readiness.page_complaint(plan.web_port)):
        unwell = {"web": said}
    if unwell:
        say(f"{plan.project}: is up but not well ({unwell}); replacing it")
        return None
    say(f"{plan.project}: using the deployment that is up since {run.since}")
    return deployment


def _renew(deployment: Deployment, *, say: Say) -> bool:
    """Create anew those services of a kept deployment that are no longer what the files and images say.

    Returns False, having said why, where that is more than some services, or does not come up.
    """
    engine, plan, run = deployment.engine, deployment.plan, deployment.run
    files = layouts.files(plan, run)
    configuration = files.configuration()
    changed = makeup.changes(engine, run, configuration)
    if changed.others or plan.layout != "dev":  # production is what the playbooks make of the files
        what = ", ".join(changed.others) or "files or images"
        say(f"{plan.project}: {what} changed since it was brought up; replacing it")
        return False
    if changed.services:
        named = "; ".join(f"{service} ({what})" for service, what in changed.services.items())
        say(f"{plan.project}: changed since it was brought up, so created anew: {named}")
        layouts.overlay(plan, run, configuration)
        try:
            recreation.recreate(deployment, tuple(changed.services))
            wait_until(f"{plan.project} to be well", deployment.unwell, lambda unwell: not unwell, within=BRING_UP)
        except (CommandError, WaitTimeoutError) as error:
            say(f"{plan.project}: {error}; replacing it")
            return False
    makeup.note(engine, run, files, configuration)
    return True


def remove(engine: Engine, run: Run, *, say: Say, graceful: bool = True) -> None:
    """Remove everything that bears the run's label, the lease last, and its state; nothing else.

    Safe to call again after an interruption, and while a signal arrives.
    """
    with held_back(say):
        took = Deadline(_REMOVAL.seconds)
        removed, quiet, wanted = 0, 0, 1 if graceful else 2
        while quiet < wanted:
            containers, left = _remove_all(engine, run, graceful=graceful)
            removed += containers
            quiet = 0 if containers or left else quiet + 1
            if took.passed and not quiet:
                left = left or [f"{containers} containers that are still being removed"]
                message = f"run {run.id} could not be removed within {_REMOVAL.seconds:g} s: {'; '.join(left)}"
                raise DeploymentError(message)
            if quiet < wanted:
                pause(_REMOVAL.poll)
        _remove_state(run.state)
        for container in leases.containers_of(engine, run):
            _end(engine, container, graceful=False)
        if removed:
            say(f"run {run.id}: {removed} containers removed ({took.elapsed:.1f} s)")


def _remove_all(engine: Engine, run: Run, *, graceful: bool) -> tuple[int, list[str]]:
    """Remove once all that is there but the lease; returns how many containers, and what would not go yet."""
    lease = leases.lease_name(run.plan)
    containers = [container for container in leases.containers_of(engine, run) if container.name != lease]
    if containers:
        with ThreadPoolExecutor(max_workers=len(containers), thread_name_prefix="stop") as pool:
            list(pool.map(partial(_end, engine, graceful=graceful), containers))
        for container in containers:
            stock.forget_unfilled(engine, container.labels)
    label = {"label": f"{LABEL}={run.id}"}
    left = []
    removals = [network.remove for network in engine.client.networks.list(filters=label)]
    removals += [partial(volume.remove, force=True) for volume in engine.client.volumes.list(filters=label)]
    for remove_it in removals:
        try:
            remove_it()
        except NotFound:
            continue
        except APIError as error:  # in use, by a container that has only just come
            left.append(str(error.explanation))
    return len(containers), left


def forget(run: Run) -> None:
    """Remove what a run has on this machine; what it has on an engine that is lost stays there."""
    _remove_state(run.state)


def is_kept(engine: Engine, plan: AddressPlan) -> bool:
    """Whether a deployment of that layout that was kept on purpose holds the plan."""
    held = leases.holder(engine, plan.index)
    return held is not None and held.layout == plan.layout and leases.is_kept(engine, held)


def remove_own(engine: Engine, *, say: Say) -> None:
    """Remove what this very process brought up and has neither removed nor kept, such as when it was interrupted."""
    own = Owner.current()
    for run in runs(engine):
        if run.owner == own and not leases.is_kept(engine, run):
            remove(engine, run, say=say, graceful=False)


def sweep(engine: Engine, *, say: Say, kept: bool = False, force: bool = False) -> int:
    """Remove what dead runs left behind; returns how many runs that were.

    A deployment kept on purpose is removed only with `kept`. A run whose owner cannot be judged from here (another
    machine or PID namespace) is named, and removed only with `force`; one that is alive never.
    """
    for process in orphans.end_processes():
        say(f"ended process {process.pid} of {process.owner.describe()}, which is over: {process.command}")
    removed = 0
    for run in runs(engine):
        if leases.is_kept(engine, run):
            if not kept:
                continue
            say(f"removing the deployment kept on purpose since {run.since}")
        else:
            match run.owner.liveness():
                case Liveness.ALIVE:
                    continue
                case Liveness.UNKNOWN if not force:
                    say(f"leaving run {run.id} of {run.owner.describe()}: whether it lives cannot be seen from here")
                    continue
                case _:
                    say(f"removing what run {run.id} of {run.owner.describe()} left behind")
        remove(engine, run, say=say, graceful=False)
        removed += 1
    folders = orphans.folders(places.STATE, engine.identity, {run.id for run in runs(engine)})
    for folder in (*folders, *orphans.scratch_folders()):
        say(f"removing {folder}, which a run that is over left behind")
        orphans.remove_folder(folder)
    return removed


def runs(engine: Engine) -> list[Run]:
    """Every run that has anything on the engine."""
    found = {run.id: run for _kind, _name, labels in engine.labelled(LABEL) if (run := Run.from_labels(labels))}
    return [found[identity] for identity in sorted(found)]


def _remove_state(state: Path) -> None:
    if state.parent.name == places.STATE.name and state.is_dir():
        shutil.rmtree(state, ignore_errors=True)


def _end(engine: Engine, container: Listed, *, graceful: bool) -> None:
    """Remove a container, whose process may end in its own time first if it is `graceful`."""
    api = engine.client.api
    try:
        if graceful:
            api.stop(container.id, timeout=_STOP_GRACE)
        api.remove_container(container.id, force=True, v=True)
    except NotFound:
        return
    except APIError as error:
        if "already in progress" not in str(error):
            raise
