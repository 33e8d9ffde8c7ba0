"""More of what can be wrong with a deployment, in shapes unlike those of `test_rules_tunnel` and `test_rules_paths`.

Each case is a function that changes a `Sample`; its name says what happened. `@broken` gives the roots that the
doctor has to name for it, all of them and no others; after `@fine` it has to find nothing.
"""

from __future__ import annotations

from tests.evidence_samples import BACK, FRONT, HANDSHAKE, WEB, Sample
from tests.sample_cases import Cases

cases = Cases()
broken = cases.makes
fine = cases.spares("no fault")


def without_gateway(sample: Sample, gateway: str, *, status: str = "restarting", log: str = "") -> None:
    """A gateway's container has ended; the other end has no session any more, and web is cut off."""
    sample.stop(gateway, status, log=log)
    other = FRONT if gateway == BACK else BACK
    sample.change(other, "dump", f"\t{HANDSHAKE}\t", "\t0\t")
    untold(sample, f"{gateway} is {status}")
    sample.fail_tunnel()


def publish(sample: Sample, service: str, port: int, host: str = "127.0.0.1", *, inside: int | None = None) -> None:
    """Publish a port of a container besides those that are, as another one of the machine where `inside` differs."""
    published = sample.containers[service]["published"]
    published.append({"port": inside or port, "protocol": "tcp", "host": host, "host_port": str(port)})


def untold(sample: Sample, reason: str) -> None:
    """Have the traffic not be measured."""
    sample.traffic.clear()
    sample.problems.append(f"the tunnel's traffic was not measured: {reason}")


def without_data(sample: Sample, *, said: str = "timed out", errno: int | None = None) -> None:
    """The ends shake hands, and no data passes."""
    for sizes in sample.traffic.values():
        sizes |= {"small": (0, 0), "large": (0, 0)}
    sample.fail_tunnel(errno=errno, code=None, timed_out=errno is None, said=said)


def without_route(sample: Sample, gateway: str) -> None:
    """Take the kernel's route through wg0 away, as it does itself without an address or with the link down."""
    with sample.edited(gateway, "routes") as routes:
        routes[:] = [route for route in routes if route.get("dev") != "wg0"]


def cut(sample: Sample, *backends: str, app: str = WEB) -> None:
    """An application comes no further with some backends than to the connection."""
    for backend in backends:
        sample.fail(app, backend, "connect")


def without_interface(sample: Sample, gateway: str) -> None:
    """A gateway runs without wg0."""
    sample.kill_tunnel()
    for piece in ("addresses", "links"):
        with sample.edited(gateway, piece) as links:
            links[:] = [link for link in links if link["ifname"] != "wg0"]
    without_route(sample, gateway)
    sample.pieces[gateway] |= {"dump": "", "dump-before": ""}
    sample.without_lines(gateway, "sysctls", "conf/wg0")
    untold(sample, "there is no wg0")
