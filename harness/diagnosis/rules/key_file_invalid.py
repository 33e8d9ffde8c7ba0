"""A peer's public key or a preshared key is none."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.containers import ABSENT
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import Case, Rule
from harness.diagnosis.settings import PEER_PUBLIC_KEY_FILE, PRESHARED_KEY_FILE
from harness.model import Hop

_MEANINGS = {PEER_PUBLIC_KEY_FILE: "the peer's public key", PRESHARED_KEY_FILE: "the preshared key"}


def _over(facts: Facts) -> list[GatewayFacts]:
    return [gateway for gateway in facts.gateways if gateway.container.status != ABSENT]


def _when(_facts: Facts, gateway: GatewayFacts) -> Iterator[Case]:
    for setting, meaning in _MEANINGS.items():
        file = gateway.secret_file(setting)
        complaint = gateway.log_lines(setting)[-1:] if not gateway.container.running else ()
        problem = file and ("is empty" if file.empty else file.fault)
        if file is not None and problem:
            evidence = (f"{gateway.service}: {meaning} in {file.path} {problem}", *complaint)
        elif file is None and complaint and setting in gateway.environment and "own public key" not in complaint[0]:
            problem, evidence = "cannot be read", complaint
        else:
            continue
        yield Case(node=gateway.service, evidence=evidence, values={"problem": problem, "meaning": meaning})


RULES = (
    Rule(
        id="key-file-invalid",
        title="A public or preshared key is none",
        hop=Hop.KEY,
        over=_over,
        when=_when,
        cause="{meaning} that {node} was given {problem}",
        remedy=(
            "write the right key into the file (wg pubkey < the other end's private.key, or wg genpsk for both "
            "ends), then: docker compose up -d --force-recreate {node}"
        ),
    ),
)
