#!/usr/bin/env bash
# Resolve requirements.in anew: exact versions and hashes for every platform, and no index's name.
# Needs uv, which is used for this alone: `pip install uv` anywhere on PATH.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tools/lib/console.sh
. "$ROOT/tools/lib/console.sh"

lock() { # lock IN OUT [OPTION...]
  local in=$1 out=$2
  shift 2
  step lock "$in -> $out"
  uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links "$@" "$in" --output-file "$out"
  if grep -nE '://|file:|^--' "$out"; then
    die 1 "lock: $out names an index or a local file; it would not verify elsewhere"
  fi
}

main() {
  cd "$ROOT"
  command -v uv >/dev/null || die "$EXIT_PREREQUISITE" "missing: uv: pip install uv"
  lock requirements.in requirements.lock
  lock reports/requirements-node.in reports/requirements-node.lock
  # Beside the environment's own, so that both can be installed into it.
  lock tools/requirements-browser.in tools/requirements-browser.lock --constraint requirements.lock
  lock ansible/requirements.in ansible/requirements.lock
  # Of this package only collections are taken, so that what it needs is not installed with it.
  lock ansible/requirements-collections.in ansible/requirements-collections.lock --no-deps
  step lock "reports/package-lock.json"
  npm --prefix reports install --package-lock-only --ignore-scripts --no-audit --no-fund
}

main "$@"
