# shellcheck shell=sh # read after section.sh
# A gateway: WireGuard, addresses, routes, netfilter.
sysctls() {
  grep -H . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/rp_filter /proc/sys/net/ipv4/conf/*/forwarding
}

section clock date +%s
section sockets cat /proc/net/tcp /proc/net/tcp6
section udp cat /proc/net/udp /proc/net/udp6
section addresses ip -j -4 address show
section links ip -j -s link show
section routes ip -j -4 route show table all
section routing-policy ip -j -4 rule show
section neighbours ip -j -4 neighbour show
section sysctls sysctls
section implementation cat /run/gateway/implementation
