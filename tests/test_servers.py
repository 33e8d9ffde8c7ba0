"""Which ports of this machine the simulated servers are reached by."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from harness import servers
from harness.addresses import ProdPlan
from harness.errors import BringUpError

PLAN = ProdPlan(index=97)


def test_plans_have_no_port_in_common() -> None:
    """Two deployments that choose at the same moment choose others, and none that the system gives away."""
    every = [port for index in range(100) for port in servers.free_ports(ProdPlan(index=index), 5)]
    assert len(set(every)) == len(every)
    assert max(every) < 32768


def test_a_port_that_somebody_has_is_passed_over() -> None:
    """Whatever listens there stays undisturbed."""
    first, second = servers.free_ports(PLAN, 2)
    with closing(socket.create_server(("127.0.0.1", first))):
        assert servers.free_ports(PLAN, 1) == [second]
    assert servers.free_ports(PLAN, 1) == [first]


def test_too_few_are_one_sentence() -> None:
    """How many there are, and what can be done."""
    with pytest.raises(BringUpError, match=r"needs 1000 ports of 127\.0\.0\.1 from 23880 to 23919, of which"):
        servers.free_ports(PLAN, 1000)
