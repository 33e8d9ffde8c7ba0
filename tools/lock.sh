#!/usr/bin/env bash
# Resolve requirements.in anew: exact versions and hashes for every platform, and no index's name.
# Needs uv, which is used for this alone: `pip install uv` anywhere on PATH.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tools/lib/console.sh
. "$ROOT/tools/lib/console.sh"

lock() { # lock IN OUT
  step lock "$1 -> $2"
  uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links "$1" --output-file "$2"
  if grep -nE '://|file:|^--' "$2"; then
    die 1 "lock: $2 names an index or a local file; it would not verify elsewhere"
  fi
}

main() {
  cd "$ROOT"
  command -v uv >/dev/null || die "$EXIT_PREREQUISITE" "missing: uv: pip install uv"
  lock requirements.in requirements.lock
  lock reports/requirements-node.in reports/requirements-node.lock
  step lock "reports/package-lock.json"
  npm --prefix reports install --package-lock-only --ignore-scripts --no-audit --no-fund
}

main "$@"
