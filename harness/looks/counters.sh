# shellcheck shell=sh # read after section.sh
# What moves when a packet passes: read before the probes and after them.
section rules iptables-save -c
section dump wg show all dump
