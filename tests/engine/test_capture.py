"""A capture tells what passed, or says that it cannot: a gap is never taken for silence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from harness import capture
from harness.addresses import TUNNEL_SERVICES
from harness.deployment import Deployment
from harness.errors import DeploymentError

REQUESTS = "icmp[icmptype] == icmp-echo"


def test_packets_that_tcpdump_was_late_for_are_not_lost(deployment: Deployment) -> None:
    """A burst that comes while tcpdump has no turn is in the capture, to the last packet."""
    with capture.tunnel(deployment, REQUESTS) as inside, tcpdump_stopped(deployment):
        burst(deployment, 200)
    assert len(inside.lines()) == 200


def test_a_capture_with_gaps_is_refused(deployment: Deployment) -> None:
    """Once the kernel's buffer was full the capture ends as an error, whatever it holds."""
    with (
        pytest.raises(DeploymentError, match=r"the capture has gaps.* packets dropped by kernel"),
        capture.tunnel(deployment, REQUESTS),
        tcpdump_stopped(deployment),
    ):
        burst(deployment, 2000)


def burst(deployment: Deployment, count: int) -> None:
    """Send so many pings through the tunnel, as quickly as they are answered."""
    pinged = deployment.probe_web.run("ping", "-q", "-f", "-c", str(count), str(TUNNEL_SERVICES.ip), user="0")
    assert pinged.ok, pinged


@contextlib.contextmanager
def tcpdump_stopped(deployment: Deployment) -> Iterator[None]:
    """While the block runs, the capture that began last gets no turn."""
    signalled(deployment, "STOP")
    try:
        yield
    finally:
        signalled(deployment, "CONT")


def signalled(deployment: Deployment, signal: str) -> None:
    """Send a signal to the tcpdump that was started last."""
    newest = "$(ls -t /tmp/capture-*.pid | head -1)"
    sent = deployment.probe_web.run("sh", "-c", f'kill -{signal} "$(cat {newest})"', user="0")
    assert sent.ok, sent
