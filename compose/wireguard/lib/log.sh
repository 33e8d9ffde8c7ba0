# shellcheck shell=bash disable=SC2034,SC2154 # the parts share their variables
# What the gateway says: its log on stdout, the one line it dies with on stderr.

reason='' # why it dies

readonly EX_CONFIG=78 # sysexits.h: something was found in an unconfigured or misconfigured state

say() {
  printf 'gateway: %s\n' "$*"
}

# The one way out when something is wrong. Everything that was changed is undone by the EXIT trap.
die() {
  reason=$2
  printf 'gateway: %s\n' "$2" >&2
  exit "$1"
}

# Every command that changes the network goes through here.
run() {
  printf '[#] %s\n' "$*"
  "$@" || die 1 "failed (exit status $?): $*"
}

# The same on the way down: what is already gone needs no undoing.
undo() {
  printf '[#] %s\n' "$*"
  "$@" 2>/dev/null || true
}
