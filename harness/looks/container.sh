# shellcheck shell=sh # read after section.sh
# A container that is no gateway, and may have no tools for networks: what the kernel itself prints.
section sockets cat /proc/net/tcp /proc/net/tcp6
section interfaces cat /proc/net/dev
section kernel-routes cat /proc/net/route
