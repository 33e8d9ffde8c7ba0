# shellcheck shell=bash
# What a user sees: one line a step with the time since the start, and the end of a failing log.
# Sourced; needs ROOT (the repository). Everything runs on bash 3.2 too.

# The exit code for a missing prerequisite, the same as in harness/errors.py.
export EXIT_PREREQUISITE=10

LOGS="$ROOT/.harness/logs"
HEARTBEAT_SECONDS=10 # short enough to show life, long enough not to fill a CI log

now_tenths() {
  local now=${EPOCHREALTIME:-}
  if [[ -n $now ]]; then # seconds, a separator that depends on the locale, six digits
    printf '%s%s' "${now%[.,]*}" "$(cut -c1 <<<"${now#*[.,]}")"
  else
    printf '%s0' "$(date +%s)"
  fi
}

# Scripts called by one another share one clock.
: "${STARTED_TENTHS:=$(now_tenths)}"
export STARTED_TENTHS

elapsed() {
  local tenths=$(($(now_tenths) - STARTED_TENTHS))
  printf '%3d.%ds' $((tenths / 10)) $((tenths % 10))
}

step() { # step AREA MESSAGE...
  local area=$1
  shift
  printf '==> [%s] %s: %s\n' "$(elapsed)" "$area" "$*"
}

detail() { printf '    [%s] %s\n' "$(elapsed)" "$*"; }

die() { # die EXIT_CODE MESSAGE...
  local code=$1
  shift
  printf '%s\n' "$*" >&2
  exit "$code"
}

# Run a long command: its output goes to a log, a line a while shows that it lives, and where it fails
# the end of the log is shown.
logged() { # logged NAME COMMAND...
  local name=$1 log pid said beat=0 status=0
  shift
  mkdir -p "$LOGS"
  log="$LOGS/$name.log"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    beat=$((beat + 1))
    if ((beat % (HEARTBEAT_SECONDS * 5) == 0)); then
      said=$(tail -n 1 "$log" | cut -c1-100)
      detail "still at it${said:+: $said}"
    fi
  done
  wait "$pid" || status=$?
  if ((status)); then
    tail -n 20 "$log" | sed 's/^/    | /' >&2
    printf '%s\n' "$name failed with exit code $status; its whole output is in $log" >&2
  fi
  return "$status"
}
