"""Every time budget that scenarios use, with its reason. Seconds throughout."""

from __future__ import annotations

from harness.model import Budget

CONNECT_TIMEOUT = 0.5
"""How long a connection may take to be made. On one host it takes milliseconds, also through the tunnel, and in 1,600
tries on a loaded machine never a quarter of a second; what is silent this long is cut off."""

ANSWER_TIMEOUT = 2.0
"""How long a client that is connected waits for an answer: a login with TLS on a loaded machine takes a while."""

HANDSHAKE = Budget(seconds=10, reason="one initiation that is lost is repeated after REKEY_TIMEOUT, 5 s (paper, 6.1)")
FORWARDING = Budget(seconds=5, reason="a changed rule acts on the next connection; a probe of what is silent takes 1 s")
SYMPTOM = Budget(
    seconds=30, reason="a container that is created anew with a fault is up within seconds; the rest shows at once"
)
SETTLE = Budget(seconds=0.5, reason="long enough for several probes of something that must not change")
RECOVERY = Budget(
    seconds=60,
    poll=0.1,
    reason="a restarted MariaDB is there within seconds, and so are those that wait for it; a slow machine needs more",
)
NO_RECOVERY = Budget(
    seconds=15, poll=0.25, reason="long enough to settle with a fault in it, from which it does not recover by itself"
)
HEALTH_PAGE = Budget(seconds=5, poll=0.1, reason="/health/ promises to name a backend that is down within 5 s")
JOB = Budget(seconds=15, poll=0.1, reason="queue, worker and database; the worker's poll of Redis is 1 s")
TRAFFIC = Budget(
    seconds=5, poll=0.1, reason="WireGuard counts a packet when it passes; the shell around it takes 50 ms"
)
"""A counter moves at once."""

CLIENT_LISTED = Budget(seconds=10, reason="a server lists a client with its first command, and drops it when it closes")
EXPIRY = Budget(seconds=5, reason="the key lives for 1.5 s, and Redis never answers with one that has expired")
JOB_AFTER_OUTAGE = Budget(
    seconds=30,
    poll=0.1,
    reason="the worker looks for a lost broker every second, and tries a job again after up to 5 s",
)

ROAMING = Budget(seconds=2, reason="the first packet from the new address suffices; a probe in vain takes 0.5 s")
REFUSED_HANDSHAKE = Budget(seconds=6, reason="an initiation that is not answered is repeated after REKEY_TIMEOUT, 5 s")
REFUSED_STRANGER = Budget(seconds=3, reason="a gateway without a handshake removes and adds its peer every second")
LOST_SESSION = Budget(
    seconds=30,
    reason="who is not answered shakes hands anew after KEEPALIVE_TIMEOUT + REKEY_TIMEOUT, 15 s (paper, 6.5), and if "
    "that is lost too after 5 s; the rest is for a loaded machine",
)
"""An end has lost its session, and the other one has to find out."""

FLOODED_HANDSHAKE = Budget(
    seconds=14,
    reason="under load a first initiation is answered with a cookie or lost, and repeated after 5 and 10 s (paper, "
    "5.3); after 15 s the other end would begin one",
)

RESTARTED = Budget(
    seconds=30,
    reason="the engine ends a container within 5 s and starts it within 1 s, three times over, on a loaded machine",
)
BROKEN_CONNECTION = Budget(
    seconds=15, reason="a server that ends closes its connections within its stop_grace_period, 5 s; its clients see it"
)
CUT = 200.0
"""How long the underlay stays cut, in seconds: longer than a session lasts, and than WireGuard tries to renew it."""

CUT_IS_OVER = Budget(
    seconds=CUT + 30, poll=2, reason="REJECT_AFTER_TIME is 180 s (paper, 6.1), and no machine can make it pass sooner"
)
FALLEN_SILENT = Budget(
    seconds=20,
    poll=0.25,
    reason="an answer that overtakes wireguard-go's own note of having asked leaves its timer for REKEY_TIMEOUT, 5 s, "
    "running, and it shakes hands once more",
)
FIRST_PACKET = Budget(
    seconds=3, reason="a handshake takes milliseconds, and a SYN that was lost is sent again after 1 s"
)

ROTATION = Budget(
    seconds=4,
    reason="both ends take new keys within 0.2 s of each other, web begins a handshake at once: 0.35 s, and 2.5 on a "
    "machine busy with a second deployment; handshakes that crossed would show, since WireGuard tries again after 5",
)
"""What rotate-keys.yml states as its longest interruption."""

REBOOT = Budget(
    seconds=60,
    poll=0.5,
    reason="engine, containers and applications start within 20 s; web waits for a gateway, and a loaded machine",
)
