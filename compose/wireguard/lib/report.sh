# shellcheck shell=bash disable=SC2034,SC2154 # the parts share their variables
# Telling others in this network namespace how the tunnel does. Reading wg0 takes the power to change
# it (NET_ADMIN, or wireguard-go's control socket) and shows the keys. So the gateway, which has both
# anyway, reads, and gives out what is no secret; who asks can ask, and nothing else.

report_pid=''

# An abstract socket belongs to the network namespace: who shares that can connect, be it another
# container, and nobody else. No port is opened and no file shared. -U: what the asker sends is never
# read; -T: one that does not read is hung up on.
offer_report() {
  socat -d0 -U -T 3 ABSTRACT-LISTEN:wireguard-gateway,fork,max-children=4,backlog=16 EXEC:gateway-report &
  report_pid=$!
}

withdraw_report() {
  [[ -z $report_pid ]] || kill "$report_pid" 2>/dev/null || true
}
