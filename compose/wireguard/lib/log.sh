# shellcheck shell=bash disable=SC2034,SC2154 # the parts share their variables
# What the gateway says: its log on stdout, the one line it dies with on stderr.

reason='' # why it dies

readonly EX_CONFIG=78 # sysexits.h: something was found in an unconfigured or misconfigured state

# LOG_FORMAT=json: each line, whoever wrote it, becomes an object a line, for Loki and its like. The two
# filters end when nobody holds their input any longer; what they still have is waited for, so that the
# line with which the gateway ends is never lost.
log_filters=()

choose_log_format() {
  case ${LOG_FORMAT:-text} in
    text) ;;
    json)
      exec {plain_stdout}>&1
      exec {plain_stderr}>&2
      exec > >(as_json info >&"$plain_stdout")
      log_filters+=($!)
      exec 2> >(as_json error >&"$plain_stderr")
      log_filters+=($!)
      trap flush_log EXIT
      ;;
    *) die "$EX_CONFIG" "LOG_FORMAT=${LOG_FORMAT@Q}: unknown; write text or json" ;;
  esac
}

# as_json LEVEL. A signal to the whole group must not take the filter away before the last line.
as_json() {
  trap '' TERM INT
  jq --raw-input --compact-output --unbuffered --arg level "$1" \
    '{time: (now | (. * 1000 | floor) as $ms | ($ms / 1000 | floor | todate)[:-1] + "." + ("00\($ms % 1000)")[-3:] + "Z"),
      service: "wireguard-gateway", level: $level, message: .}'
}

flush_log() {
  local filter waited
  ((${#log_filters[@]})) || return 0
  exec >&"$plain_stdout"
  exec 2>&"$plain_stderr"
  for filter in "${log_filters[@]}"; do
    for ((waited = 0; waited < 100; waited++)); do # a second: somebody else may hold the input
      kill -0 "$filter" 2>/dev/null || break
      sleep 0.01
    done
  done
}

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
