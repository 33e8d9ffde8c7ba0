"""Who holds an address plan, written on the engine itself.

A lease is a container that is never started: its name is unique on the engine, so taking it is atomic even between
users and machines, its labels say who holds it, and it outlives the holder's death, after which it is found dead and
swept. A deployment that is kept on purpose has a marker volume besides, made once it is up.
"""

from __future__ import annotations

import contextlib

from docker.errors import APIError, NotFound

from harness.engine import Engine, Listed
from harness.errors import HeldError, WaitTimeoutError
from harness.images import PROBE
from harness.model import Budget
from harness.ownership import LABEL, Liveness, Run
from harness.waiting import wait_until

_CONFLICT = 409
_LISTED = Budget(seconds=5, reason="the engine reserves a container's name a moment before it lists the container")


def lease_name(plan: int) -> str:
    """The name of the container that is plan `plan`'s lease."""
    return f"wireguard-harness-lease-{plan}"


def take(engine: Engine, run: Run) -> None:
    """Take the lease of `run`'s plan; raises `HeldError` that names the holder."""
    try:
        engine.client.containers.create(PROBE, name=lease_name(run.plan), labels=run.labels(), network_mode="none")
    except APIError as error:
        if error.status_code != _CONFLICT:
            raise
        with contextlib.suppress(WaitTimeoutError):  # then the name is not a lease, which is said
            wait_until("the lease to be listed", lambda: holder(engine, run.plan), bool, within=_LISTED)
        raise HeldError(describe_holder(engine, run.plan)) from None


def holder(engine: Engine, plan: int) -> Run | None:
    """The run that holds a plan, or None."""
    found = [container for container in engine.listed(LABEL) if container.name == lease_name(plan)]
    for container in found:
        if run := Run.from_labels(dict(container.labels)):
            return run
    return None


def is_kept(engine: Engine, run: Run) -> bool:
    """Whether that run's deployment was brought up whole and kept on purpose."""
    try:
        return bool(engine.client.volumes.get(_marker(run.plan)).attrs["Labels"].get(LABEL) == run.id)
    except NotFound:
        return False


def keep(engine: Engine, run: Run) -> None:
    """Mark the deployment as kept on purpose: it outlives its run, and is never swept unasked."""
    engine.client.volumes.create(_marker(run.plan), labels=run.labels())


def describe_holder(engine: Engine, plan: int) -> str:
    """One line on who holds a plan, and what to do about it."""
    run = holder(engine, plan)
    if run is None:
        return f"address plan {plan} is held by container {lease_name(plan)}, whose labels are not the harness's"
    if is_kept(engine, run):
        make, pytest = (f" LAYOUT={run.layout}", f" --layout {run.layout}") if run.layout != "dev" else ("", "")
        return (
            f"address plan {plan} is held by a deployment of {run.layout} kept on purpose, up since {run.since} "
            f"({run.state}): `make down{make}` removes it, `pytest scenarios/{pytest} --reuse` tests it"
        )
    state = run.owner.liveness()
    advice = "wait for it to end" if state is Liveness.ALIVE else "`python -m harness sweep --force` removes it"
    return (
        f"address plan {plan} (its subnets and names) is held by run {run.id}, {run.owner.describe()}, "
        f"{state.value}, since {run.since}: {advice}"
    )


def containers_of(engine: Engine, run: Run) -> list[Listed]:
    """Every container that the run created, its lease included."""
    return list(engine.listed(f"{LABEL}={run.id}"))


def _marker(plan: int) -> str:
    return f"wireguard-harness-kept-{plan}"
