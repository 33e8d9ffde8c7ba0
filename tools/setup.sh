#!/usr/bin/env bash
# Set up whatever is missing: the Python environment, a Docker engine, the report builder.
#
# What is there already is left as it is, so the second run does nothing. What is missing and cannot
# be installed here is listed, a line each, before anything is changed; the exit code is then 10.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tools/lib/console.sh
. "$ROOT/tools/lib/console.sh"
# shellcheck source=tools/lib/packages.sh
. "$ROOT/tools/lib/packages.sh"
# shellcheck source=tools/lib/python.sh
. "$ROOT/tools/lib/python.sh"
# shellcheck source=tools/lib/ansible.sh
. "$ROOT/tools/lib/ansible.sh"
# shellcheck source=tools/lib/node.sh
. "$ROOT/tools/lib/node.sh"
# shellcheck source=tools/lib/browser.sh
. "$ROOT/tools/lib/browser.sh"
# shellcheck source=tools/lib/engine.sh
. "$ROOT/tools/lib/engine.sh"

# Makes the base image where none can be pulled; `python -m harness prepare` calls it.
check_mmdebstrap() {
  if can_install && [[ $(os_release ID) == debian ]] && ! command -v mmdebstrap >/dev/null; then
    want mmdebstrap
  fi
}

# Only the production layout is deployed by Ansible; the linters set it up for themselves.
layout_needs_ansible() {
  case ",${LAYOUT:-dev}," in *,prod,*) return 0 ;; *) return 1 ;; esac
}

# Only the tests of the report need one: `make test` asks for it.
needs_browser() { [[ -n ${WITH_BROWSER:-} ]]; }

# What only reads, such as linters and unit tests, works on machines that have none.
needs_engine() { [[ -z ${WITHOUT_ENGINE:-} ]]; }

one_at_a_time() {
  if command -v flock >/dev/null; then
    mkdir -p "$ROOT/.harness"
    exec 9>"$ROOT/.harness/setup.lock"
    flock --nonblock 9 || {
      step set-up "waiting for another set-up of this clone"
      flock 9
    }
  fi
}

engine_described() { echo "Engine $(engine_version), Compose $(docker compose version --short), "; }

stop_if_missing() {
  if [[ ${#MISSING[@]} -gt 0 ]]; then
    printf 'missing: %s\n' "${MISSING[@]}" >&2
    exit "$EXIT_PREREQUISITE"
  fi
}

main() {
  cd "$ROOT"
  check_python
  if needs_engine; then
    check_engine
    check_mmdebstrap
  fi
  if needs_browser; then check_browser; fi
  stop_if_missing

  one_at_a_time
  install_wanted
  local ansible=""
  if layout_needs_ansible; then
    set_up_ansible & # beside the others: to unpack an environment takes one core
    ansible=$!
  fi
  set_up_python
  if needs_engine; then set_up_engine; fi
  set_up_report_builder
  if needs_browser; then set_up_browser; fi
  [[ -z $ansible ]] || wait "$ansible"
  step set-up "complete: $(if needs_engine; then engine_described; fi)$("$VENV/bin/python" --version)"
}

main "$@"
