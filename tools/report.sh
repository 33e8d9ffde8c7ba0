#!/usr/bin/env bash
# Build the report: reports/results -> reports/report.html, one page, offline, that loads nothing else.
#
# usage: report.sh [--gate]   with --gate a failed test, too few tests or one of unknown end is an exit code of 1
#
# RESULTS, PAGE and HISTORY name another folder of results, another page and another history than the run's own.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tools/lib/console.sh
. "$ROOT/tools/lib/console.sh"
# shellcheck source=tools/lib/packages.sh
. "$ROOT/tools/lib/packages.sh"
# shellcheck source=tools/lib/python.sh
. "$ROOT/tools/lib/python.sh"
# shellcheck source=tools/lib/node.sh
. "$ROOT/tools/lib/node.sh"

BUILD="$ROOT/.harness/report-$$" # what Allure writes before the page is made self-contained
PAGE=${PAGE:-"$REPORTS/report.html"}
export REPORT_RESULTS=${RESULTS:-"$REPORTS/results"}
export REPORT_HISTORY=${HISTORY:-"$REPORTS/history/history.jsonl"}

allure() { (cd "$REPORTS" && node node_modules/allure/cli.js "$@" --config allurerc.mjs); }

has_results() { compgen -G "$REPORT_RESULTS/*-result.json" >/dev/null; }

build() {
  step report "building from $(find "$REPORT_RESULTS" -name '*-result.json' | wc -l | tr -d ' ') results"
  trap 'rm -rf "$BUILD"' EXIT
  logged allure allure generate --output "$BUILD"
  "$VENV/bin/python" "$ROOT/tools/selfcontained.py" "$BUILD/index.html" "$PAGE"
  step report "$(du -h "$PAGE" | cut -f1 | tr -d ' ') in $PAGE"
}

gate() {
  step report "quality gate: no failed test, none of unknown end, and not too few of them"
  NO_COLOR=1 REPORT_GATE=yes allure quality-gate
}

main() {
  has_results || die 1 "report: no results in $REPORT_RESULTS; run \`make scenarios\` first"
  if ! python_is_ready || ! report_builder_is_ready; then
    step report "the builder is not installed: setting up"
    set_up_python
    set_up_report_builder || die "$EXIT_PREREQUISITE" \
      "report: its builder could not be installed, as said above; the results stay in $REPORT_RESULTS, and \`make report\` builds it later"
  fi
  use_node
  case ${1:-} in
    --gate) gate ;;
    "") build ;;
    *) die 64 "usage: report.sh [--gate]" ;;
  esac
}

main "$@"
