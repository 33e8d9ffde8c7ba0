# shellcheck shell=sh # read after section.sh
# What moves when a packet passes: read before the probes and after them.
section rules iptables-save -c
# A wireguard-go that hangs does not answer, and a look must not hang with it.
section dump timeout 1 wg show all dump
