"""Production's exporters: switched on by the inventory, one on each server, each telling of its own gateway."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import pytest

from harness import monitoring, playbooks, provision
from harness.addresses import MARIADB_PORT, TUNNEL_SERVICES
from harness.experiment import Experiment
from harness.monitoring import SCRAPED, scrape
from harness.nodes import Node
from harness.production import Production
from harness.waiting import wait_until

pytestmark = [pytest.mark.layouts("prod"), pytest.mark.playbooks]


def test_each_server_has_an_exporter_once_the_inventory_says_so(experiment: Experiment, production: Production) -> None:
    """With the profile `monitoring` a deployment adds an exporter to each server, and renews nothing else.

    Their figures are those of `wg show`; web's reaches MariaDB through the tunnel; no secret is among them.
    """
    provision.settle(production)
    with experiment.disturbance("the profile monitoring is switched on") as undo:
        before = [node.container.id for node in production.observed]
        exporters = switched_on(production, undo)
        assert [node.container.id for node in production.observed] == before

        for gateway, exporter in zip(production.gateways, exporters, strict=True):
            seen = wait_until(
                f"{exporter.name} to see its tunnel",
                partial(scrape, exporter),
                lambda told: told.one("wireguard_interface_up") == 1,
                within=SCRAPED,
            )
            peer = gateway.peer()
            assert peer.latest_handshake is not None
            told = seen.one("wireguard_peer_latest_handshake_timestamp_seconds", public_key=peer.public_key)
            assert told == peer.latest_handshake.timestamp()
            assert 0 < seen.one("wireguard_peer_received_bytes_total", public_key=peer.public_key) <= peer.transfer_rx
            assert not [secret for secret in production.credentials.secrets() if secret in seen.text]
        through = scrape(exporters[0])
        assert through.one("wireguard_probe_success", address=str(TUNNEL_SERVICES.ip), port=str(MARIADB_PORT)) == 1
        assert scrape(exporters[1]).one("wireguard_forward_packets_total", port=str(MARIADB_PORT), rule="dnat") > 0


def switched_on(production: Production, undo: ExitStack) -> list[Node]:
    """Deploy with the profile; the undo deploys without it. Returns web's exporter and services'."""
    exporters = [
        Node(server.inner, f"exporter-{server.service}", f"exporter-{server.service}") for server in production.servers
    ]
    chosen = monitoring.make_images(production, "EXPORTER_IMAGE")
    undo.callback(deployed, production)
    for exporter in exporters:
        undo.callback(remove, exporter)
    for server in production.servers:
        server.load(list(chosen.values()))
    playbooks.write_hosts(
        production, {server.service: {"docker_compose_extra_profiles": ["monitoring"]} for server in production.servers}
    )
    playbooks.play(production, "deploy.yml")
    return exporters


def remove(exporter: Node) -> None:
    """Remove an exporter's container."""
    exporter.container.remove(force=True)


def deployed(production: Production) -> None:
    """Deploy by the committed inventory."""
    playbooks.write_hosts(production)
    provision.deploy(production)
