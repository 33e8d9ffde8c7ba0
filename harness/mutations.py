"""What several faults do to the gateways and their key files, each change with its exact undo.

An undo looks before it acts: it puts back what is not there, where it was, and nothing else.
"""

from __future__ import annotations

import itertools
import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from ipaddress import IPv4Interface
from pathlib import Path

from harness import images, keys, layouts, netfilter, recreation, throwaway
from harness.budgets import HANDSHAKE
from harness.deployment import Deployment, Host
from harness.errors import CommandError, HarnessError
from harness.model import NetfilterRule
from harness.nodes import Gateway, Node
from harness.waiting import wait_until
from harness.wireguard import INTERFACE

_numbers = itertools.count(1)
_INSERT_RULE = 'table=$1; shift; iptables -w -t "$table" -I "$@"'
_DELETE_RULE = 'table=$1; shift; ! iptables -w -t "$table" -C "$@" 2>/dev/null || iptables -w -t "$table" -D "$@"'
_RESTORE_TABLE = 'iptables-restore -w -c <<<"$RULES"'

# --- netfilter rules -------------------------------------------------------------------------------


def rules_naming(gateway: Gateway, port: int) -> tuple[NetfilterRule, ...]:
    """Every rule for what goes to `port`: its DNAT, its MASQUERADE and its leave to be forwarded."""
    return tuple(rule for rule in gateway.rules() if f" --dport {port} " in f"{rule.specification} ")


def delete_rule(undo: ExitStack, gateway: Gateway, rule: NetfilterRule) -> None:
    """Delete a rule; the undo puts it back at its place."""
    position = _specifications(gateway, rule).index(rule.specification) + 1

    def restore() -> None:
        if rule.specification not in _specifications(gateway, rule):
            _iptables(gateway, rule.table, "-I", rule.chain, str(position), *shlex.split(rule.specification))

    undo.callback(restore)
    _iptables(gateway, rule.table, "-D", rule.chain, str(position))


def replace_rule(undo: ExitStack, gateway: Gateway, rule: NetfilterRule, specification: str) -> None:
    """Put another rule in the place of one; the undo puts the old one back there."""
    position = _specifications(gateway, rule).index(rule.specification) + 1

    def restore() -> None:
        if _specifications(gateway, rule)[position - 1 : position] == [specification]:
            _iptables(gateway, rule.table, "-R", rule.chain, str(position), *shlex.split(rule.specification))

    undo.callback(restore)
    _iptables(gateway, rule.table, "-R", rule.chain, str(position), *shlex.split(specification))


def insert_rule(undo: ExitStack, node: Node, table: str, chain: str, specification: str) -> None:
    """Insert a rule before all others of its chain; the undo deletes that one."""
    words = shlex.split(specification)

    def remove() -> None:
        if node.run("iptables", "-w", "-t", table, "-C", chain, *words).ok:
            _iptables(node, table, "-D", chain, *words)

    undo.callback(remove)
    _iptables(node, table, "-I", chain, "1", *words)


def count_arrivals(undo: ExitStack, node: Node, table: str, match: str) -> Callable[[], int]:
    """Count the packets that come to a node and match, by a rule that does nothing else; the undo deletes it."""
    insert_rule(undo, node, table, "PREROUTING", match)

    def arrived() -> int:
        rules = netfilter.parse_save(node.look(*netfilter.SAVE, "-t", table))
        (own,) = [rule for rule in rules if (rule.chain, rule.specification) == ("PREROUTING", match)]
        return own.packets

    return arrived


def flush_table(undo: ExitStack, gateway: Gateway, table: str) -> None:
    """Delete every rule of a table, whosever it is; the undo puts the whole table back as it was."""
    saved = gateway.look(*netfilter.SAVE, "-t", table)
    before = _described(netfilter.parse_save(saved))

    def restore() -> None:
        if _described(gateway.rules(table)) != before:
            # The rules come in the environment: a command that fails is shown with its arguments.
            result = gateway.run("bash", "-c", _RESTORE_TABLE, environment={"RULES": saved})
            if not result.ok:
                raise CommandError(f"in {gateway.name}: {result}")

    undo.callback(restore)
    _iptables(gateway, table, "-F")


def _described(rules: Iterable[NetfilterRule]) -> list[tuple[str, str]]:
    return [(rule.chain, rule.specification) for rule in rules]


def _specifications(gateway: Gateway, rule: NetfilterRule) -> list[str]:
    return [found.specification for found in gateway.rules(rule.table, rule.chain)]


def _iptables(node: Node, table: str, *arguments: str) -> None:
    node.act("iptables", "-w", "-t", table, *arguments)


def insert_rule_from_outside(  # noqa: PLR0913, PLR0917 (what a rule has, and where)
    deployment: Deployment, undo: ExitStack, node: Node, table: str, chain: str, specification: str
) -> None:
    """Insert a rule in the namespace of a node that has no iptables itself; the undo deletes that one."""
    words = (table, chain, *shlex.split(specification))
    undo.callback(_privileged, deployment, node, _DELETE_RULE, *words)
    _privileged(deployment, node, _INSERT_RULE, *words)


# --- the tunnel ------------------------------------------------------------------------------------

# The configuration holds the private key, so it never leaves the container; /run is a tmpfs, and gone with it.
_KEEP = 'umask 077; wg showconf wg0 >"$1.new" && mv "$1.new" "$1"'
_RESTORE = '[[ ! -e $1 ]] || { wg setconf wg0 "$1" && rm "$1"; }'
_ADD_PEER_AGAIN = """
set -euo pipefail
configured=$(wg showconf wg0)
peers=${configured#*"[Peer]"}
wg set wg0 peer "$1" remove
wg addconf wg0 <(printf '[Peer]%s\\n' "${peers/"$2"/"$3"}")
"""


def keep_tunnel(deployment: Deployment, undo: ExitStack) -> None:
    """Have the undo give both ends the WireGuard configuration that they have now, and shake hands at once.

    Services' end comes first, who only answers: a handshake that web begins before that is lost, and repeated only
    after 5 s. An end that was created anew meanwhile is left as it is.
    """
    for gateway in deployment.gateways:  # undone in reverse
        path = f"/run/kept-{os.getpid()}-{next(_numbers)}.conf"
        undo.callback(gateway.act, "bash", "-c", _RESTORE, "bash", path)
        gateway.act("bash", "-c", _KEEP, "bash", path)


def add_peer_again(gateway: Gateway, was: str, becomes: str) -> None:
    """Take the one peer away and add it with one line of its configuration changed, in wg(8)'s words.

    `keep_tunnel` undoes it. What an end still knows of its peer would else blur what the fault does.
    """
    gateway.act("bash", "-c", _ADD_PEER_AGAIN, "bash", gateway.peer().public_key, was, becomes)


def forget_endpoint(gateway: Gateway) -> None:
    """Have an end not know where its peer is, as one that has just been started; `keep_tunnel` undoes it.

    Else the first thing that it sends would tell its peer where it is itself.
    """
    add_peer_again(gateway, f"Endpoint = {gateway.peer().endpoint}", "")


def set_tunnel_down(undo: ExitStack, gateway: Gateway) -> None:
    """Set wg0 down; the undo sets it up."""
    _keep_routes(undo, gateway)
    undo.callback(gateway.act, "ip", "link", "set", INTERFACE, "up")
    gateway.act("ip", "link", "set", INTERFACE, "down")


def _keep_routes(undo: ExitStack, gateway: Gateway) -> None:
    """Have the undo bring back the routes by wg0 that there are now.

    The kernel takes them away with the link or with the last address, and makes none anew but that of an address with
    its subnet; wg-quick(8) makes one for each subnet that the peer may use.
    """
    before = _routes_by_tunnel(gateway)

    def restore() -> None:
        for missing in before - _routes_by_tunnel(gateway):
            gateway.act("ip", "route", "add", *missing.split(), "dev", INTERFACE)

    undo.callback(restore)


def _routes_by_tunnel(gateway: Gateway) -> set[str]:
    return {line.strip() for line in gateway.look("ip", "-4", "route", "show", "dev", INTERFACE).splitlines()}


def set_address(undo: ExitStack, gateway: Gateway, wanted: IPv4Interface | None) -> None:
    """Give wg0 another address in place of the one it has, or none; the undo gives it the old one."""
    _keep_routes(undo, gateway)
    before = _addresses(gateway)

    def make(addresses: set[IPv4Interface]) -> None:
        present = _addresses(gateway)
        for address in present - addresses:
            gateway.act("ip", "address", "del", str(address), "dev", INTERFACE)
        for address in addresses - present:
            gateway.act("ip", "address", "add", str(address), "dev", INTERFACE)

    undo.callback(make, before)
    make({wanted} if wanted else set())


def _addresses(gateway: Gateway) -> set[IPv4Interface]:
    return {found.address for found in gateway.addresses() if found.interface == INTERFACE}


def start_responder(deployment: Deployment) -> None:
    """Start services' gateway where it does not run, and have web shake hands when it can answer."""
    services = deployment.wireguard_services
    services.container.start()
    wait_until(f"{services.name} to have its peer", lambda: _has_peer(services), bool, within=HANDSHAKE)
    recreation.shake_hands_after_absence(deployment)


def _has_peer(gateway: Gateway) -> bool:
    try:
        return bool(gateway.peer())
    except HarnessError:
        return False


def another_interface(gateway: Gateway, right: str) -> str:
    """The gateway's interface on its other Docker network; where it has none, a name that Docker gives to such."""
    names = (found.interface for found in gateway.addresses() if found.interface.startswith("eth"))
    return next((name for name in names if name != right), "eth1" if right != "eth1" else "eth0")


# --- key files -------------------------------------------------------------------------------------


def copies(deployment: Deployment, name: str) -> list[Path]:
    """Each copy of one of `keys.FILES`, on every host that has it, as seen from here."""
    return [path for host in deployment.hosts if (path := host.secrets / name).exists()]


def unwritable(deployment: Deployment, *names: str) -> str | None:
    """Why key files cannot be changed in place, or None when they can."""
    refused = [name for name in names if not all(os.access(path, os.W_OK) for path in copies(deployment, name))]
    return f"this user may not change {', '.join(refused)}, which root owns" if refused else None


def rewrite(deployment: Deployment, undo: ExitStack, name: str, text: str) -> None:
    """Put another text into every copy of a key file; the undo puts the old one back.

    In place, because a container has the file itself mounted and would not see another one of the same name.
    """
    for host in deployment.hosts:
        if (path := host.secrets / name).exists():
            undo.callback(_overwrite, host, name, path.read_bytes())
            _overwrite(host, name, f"{text}\n".encode())


def _overwrite(host: Host, name: str, content: bytes) -> None:
    with (host.secrets / name).open("r+b") as file:
        file.write(content)
        file.truncate()
    host.publish(name)


def key_file(deployment: Deployment, undo: ExitStack, service: str, text: str) -> str:
    """A key file of its own next to a service's, as a gateway needs it: 0600 and root's; the undo removes it.

    Returns where the service's engine finds it.
    """
    return secret_file(deployment, undo, service, f"fault-{os.getpid()}-{next(_numbers)}.key", text, owner=0)


def secret_file(  # noqa: PLR0913, PLR0917 (what a file has)
    deployment: Deployment, undo: ExitStack, service: str, name: str, text: str, owner: int
) -> str:
    """A secret file of its own next to a service's, 0600 and `owner`'s; the undo removes it.

    Returns where the service's engine finds it.
    """
    host = deployment.host(service)
    path = host.secrets / name

    def remove() -> None:
        path.unlink(missing_ok=True)
        host.publish(name)

    undo.callback(remove)
    keys.write_file(path, text, mode=0o600)
    if host.shipment:
        host.publish(name, owner)
    elif os.geteuid() == 0:
        os.chown(path, owner, owner)
    else:
        layouts.hand_over(deployment.engine, deployment.run.labels())(host.secrets, {name: owner})
    return str(host.mounted / name)


# --- what only a privileged container may do in a node's network namespace --------------------------

_WRITE = 'while [ $# -gt 1 ]; do echo "$2" >"/proc/sys/$1" || exit; shift 2; done'
# The metric is what tells this route from any other.
_BLACKHOLE = 'ip route add blackhole "$1" metric 9998'
_NO_BLACKHOLE = "ip route del blackhole \"$1\" metric 9998 2>/dev/null || ! ip route show | grep 'metric 9998'"


def set_sysctls(deployment: Deployment, undo: ExitStack, node: Node, values: Mapping[str, str]) -> None:
    """Change sysctls of a node's network namespace, by their paths under /proc/sys; the undo puts the old ones back.

    In the node itself /proc/sys is read-only.
    """
    before = {path: node.look("cat", f"/proc/sys/{path}").strip() for path in values}
    undo.callback(_write_sysctls, deployment, node, before)
    _write_sysctls(deployment, node, values)


def _write_sysctls(deployment: Deployment, node: Node, values: Mapping[str, str]) -> None:
    _privileged(deployment, node, _WRITE, *(word for pair in values.items() for word in pair))


def contain_answers(deployment: Deployment, undo: ExitStack, node: Node) -> None:
    """Keep what a node sends to the tunnel's addresses from leaving the engine's machine; the undo ends that.

    Without a way back through the gateway such answers go to the engine's own host, and would be forwarded from
    there if it forwards anything.
    """
    if not node.engine.client.info().get("IPv4Forwarding"):
        return
    tunnel = str(deployment.plan.tunnel)
    undo.callback(_privileged, deployment, node, _NO_BLACKHOLE, tunnel)
    _privileged(deployment, node, _BLACKHOLE, tunnel)


def _privileged(deployment: Deployment, node: Node, script: str, *arguments: str) -> None:
    image = images.chosen()["WIREGUARD_IMAGE"]
    result = throwaway.once(
        node.engine,
        image,
        ["sh", "-c", script, "sh", *arguments],
        labels=deployment.run.labels(),
        network_mode=f"container:{node.container.id}",
        privileged=True,
    )
    if not result.ok:
        message = f"in the namespace of {node.name} this failed: {result}"
        raise CommandError(message)
