#!/usr/bin/env bash
# The WireGuard gateway: one image for both ends of the tunnel.
#
#        web side: initiates                                 services side: answers, forwards
#   ┌── namespace of the gateway ──┐                   ┌── namespace of the gateway ───────────┐
#   │ application                  │                   │  DNAT  3306 ─> 10.101.0.2   (eth1)    │
#   │     │ dials 10.100.0.11:3306 │                   │   ▲    6379 ─> 10.101.0.4      │      │
#   │     ▼                        │                   │   │                            ▼      │
#   │    wg0 10.100.0.10/24        │                   │  wg0 10.100.0.11/24    MASQUERADE     │
#   │     │                        │   UDP 51820       │   ▲                            │      │
#   │    eth0 172.20.0.2 ──────────┼── encrypted ──────┼─ eth0 172.20.0.3           eth1 ──────┼─> backends
#   └──────────────────────────────┘                   └───────────────────────────────────────┘
#   blackhole 10.100.0.0/24 metric 9999 on both: without wg0 that traffic fails and goes nowhere.
#
# Settings, all from the environment; an unknown WG_ name is refused:
#
#   WG_ADDRESS               this end inside the tunnel, with its prefix length: 10.100.0.11/24
#   WG_LISTEN_PORT           UDP port, 51820
#   WG_PRIVATE_KEY_FILE      secret file with this end's private key
#   WG_PEER_PUBLIC_KEY       the peer's public key, or WG_PEER_PUBLIC_KEY_FILE, a file with it
#   WG_PRESHARED_KEY_FILE    secret file with the preshared key; unset: none
#   WG_PEER_ALLOWED_IPS      source addresses the peer may use; those in the tunnel's subnet are routed
#   WG_PEER_ENDPOINT         host:port of the peer. Set it on one end only: that end initiates
#   WG_PERSISTENT_KEEPALIVE  seconds, 0 for none
#   WG_MTU                   1420
#   WG_IMPLEMENTATION        auto, kernel or userspace (wireguard-go)
#   WG_IPTABLES              auto, nft or legacy
#   WG_FORWARD_PORTS         port:protocol:address ..., forwarded from the tunnel to this side
#   WG_FORWARD_INTERFACE     where forwarded traffic leaves; unset: by the route to each destination
#   WG_HANDSHAKE_MAX_AGE     age in seconds at which gateway-health complains; 0: never. Unset: 180, or what
#                            a long keepalive makes of it, on the end that initiates; never on the other
#
#   LOG_FORMAT               text, or json: an object a line, with time, service, level and message
#
# Left in /run/gateway to be read: `implementation` (kernel or wireguard-go), `iptables` (nft or
# legacy). Told to whoever asks in this network namespace: gateway-report. Exit status: 0 stopped by a
# signal, 78 a setting or the container is wrong, 1 anything else.

set -euo pipefail -o noglob

readonly library=${BASH_SOURCE[0]%/*}/lib
# shellcheck source=lib/log.sh
source "$library/log.sh"
# shellcheck source=lib/addresses.sh
source "$library/addresses.sh"
# shellcheck source=lib/settings.sh
source "$library/settings.sh"
# shellcheck source=lib/surroundings.sh
source "$library/surroundings.sh"
# shellcheck source=lib/firewall.sh
source "$library/firewall.sh"
# shellcheck source=lib/tunnel.sh
source "$library/tunnel.sh"
# shellcheck source=lib/report.sh
source "$library/report.sh"

take_down() {
  local status=$? last_command=$BASH_COMMAND
  trap '' TERM INT
  trap - EXIT
  ((status == 0)) || [[ -n $reason ]] ||
    printf 'gateway: ended by exit status %s of: %s\n' "$status" "$last_command" >&2
  withdraw_report
  remove_tunnel
  lower_firewall
  kill "$kernel_events_pid" 2>/dev/null || true
  flush_log
  exit "$status"
}

main() {
  choose_log_format
  read_settings
  check_surroundings
  remove_leftover

  trap take_down EXIT
  trap 'say "asked to stop"; exit 0' TERM INT

  mkdir -p /run/gateway
  echo "$implementation" >/run/gateway/implementation
  say "this end is $own_public_key, using $implementation and iptables-$iptables_backend"
  watch_kernel
  describe_peer
  fail_closed
  raise_firewall
  build_tunnel
  offer_report
  supervise
}

main
