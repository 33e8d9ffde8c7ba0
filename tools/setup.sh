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

# What scenarios type as people do. Those that cannot are skipped, and say why.
check_typed() {
  if ! can_install; then return; fi
  command -v curl >/dev/null || want curl
  if layout_needs_ansible && ! command -v ssh >/dev/null; then want openssh-client; fi
}

# Only the production layout is deployed by Ansible; the linters set it up for themselves.
layout_needs_ansible() {
  case ",${LAYOUT:-dev}," in *,prod,*) return 0 ;; *) return 1 ;; esac
}

# Only the tests of the report need one: `make test` asks for it.
needs_browser() { [[ -n ${WITH_BROWSER:-} ]]; }

# Only the tests on virtual servers need them: `make machines` asks for it.
needs_machines() { [[ -n ${WITH_MACHINES:-} ]]; }

# Their disk is made by root, because its files belong to others.
check_machines() {
  local needed program
  if ! is_root; then missing "root, to make the disk of a virtual server: sudo make machines"; fi
  for needed in qemu-system-x86_64=qemu-system-x86 mmdebstrap=mmdebstrap mkfs.ext4=e2fsprogs ssh=openssh-client; do
    program=${needed%=*}
    if command -v "$program" >/dev/null; then
      continue
    elif can_install; then
      want "${needed#*=}"
    else
      missing "$program, for virtual servers: on Debian it is in the package ${needed#*=}"
    fi
  done
  # Elsewhere than on Debian the keys of its archive are not there.
  if can_install && [[ $(os_release ID) != debian ]]; then want debian-archive-keyring; fi
}

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

# Deployments and scenarios need none, only what becomes of their results; the report's own tests do.
without_report_builder() {
  if needs_browser; then exit "$EXIT_PREREQUISITE"; fi
  step report "its builder could not be installed, as said above; going on without it"
}

main() {
  cd "$ROOT"
  check_python
  if needs_engine; then
    check_engine
    check_mmdebstrap
    check_typed
  fi
  if needs_browser; then check_browser; fi
  if needs_machines; then check_machines; fi
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
  set_up_report_builder || without_report_builder
  if needs_browser; then set_up_browser; fi
  [[ -z $ansible ]] || wait "$ansible"
  step set-up "complete: $(if needs_engine; then engine_described; fi)$("$VENV/bin/python" --version)"
}

main "$@"
