# shellcheck shell=sh
# What every look begins with. Each section is one question: a line with a record separator and its
# name, what the command printed, and a unit separator with its exit status.
section() {
  name=$1
  shift
  printf '\036%s\n' "$name"
  status=0
  "$@" 2>&1 || status=$?
  printf '\037%s\n' "$status"
}
