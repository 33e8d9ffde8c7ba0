#!/usr/bin/env bash
# What `make` calls: run.sh scenarios|test|up|down|status|doctor|score|mutation|catalogue|bench|cleanup|machines|sweep|
# report|lint|types|unit|merge|gate|flaky|site|load_images|save_images [ARGUMENT...]
#
# LAYOUT names the deployment's layout, WORKERS the number of xdist workers, SHARD the part of the scenarios that is
# this machine's, such as 1/2, and LEG the folder of reports/legs/ that keeps the results for `merge`. `scenarios`,
# `unit`, `cleanup`, `machines` and `test` hand further arguments to pytest, the others to `python -m harness`.
# Exit codes: 0; 10 where a prerequisite is missing; otherwise that of the step that failed.
# (GNU make turns any of them into 2 and prints the code: "Error 10".)
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tools/lib/console.sh
. "$ROOT/tools/lib/console.sh"

export LAYOUT=${LAYOUT:-dev}
PYTHON_IN_VENV="$ROOT/.venv/bin/python"
RESULTS="$ROOT/reports/results"
NIGHT="$ROOT/reports/night.json"
IMAGES="$ROOT/.cache/images.tar"

export PYTHONUNBUFFERED=1 # progress is shown as it happens, also into a file
# The environments are installed as source. Where Python is kept from writing bytecode, as in many containers, each
# start of pytest, of its workers and of Ansible would compile it again.
export PYTHONDONTWRITEBYTECODE=

# Builds trust the host's certificates; each family of hosts keeps them in a place of its own.
find_ca_bundle() {
  local bundle
  for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    if [[ -r $bundle ]]; then
      echo "$bundle"
      return
    fi
  done
}
export CA_BUNDLE=${CA_BUNDLE:-$(find_ca_bundle)}

harness() { "$PYTHON_IN_VENV" -m harness "$@"; }

set_up() { "$ROOT/tools/setup.sh"; }

set_up_without_engine() { WITHOUT_ENGINE=yes "$ROOT/tools/setup.sh"; }

# What looks or tidies up goes on with an environment that is older than its lock.
set_up_where_nothing_is() { [[ -x $PYTHON_IN_VENV ]] || set_up_without_engine; }

make_ready() {
  step "$LAYOUT" "preparing images, keys and secrets"
  harness prepare --layout "$LAYOUT"
}

lint() { "$ROOT/tools/lint.sh"; }

types() {
  step types "mypy --strict"
  "$PYTHON_IN_VENV" -m mypy
}

unit() {
  step tests "pytest tests/, those that need no engine"
  "$PYTHON_IN_VENV" -m pytest tests/ --ignore=tests/engine --ignore=tests/machines --junitxml="$ROOT/reports/junit-tests.xml" "$@"
}

engine_tests() {
  step tests "pytest tests/engine/, real runs of the harness that are interrupted, killed and crossed"
  "$PYTHON_IN_VENV" -m pytest tests/engine/ --junitxml="$ROOT/reports/junit-engine.xml"
}

cleanup() {
  step prod "the image of a server, for engines that may be restarted and filled up"
  harness prepare --layout prod
  step tests "pytest --full, all that can become of a run, on this engine and on those of other machines"
  "$PYTHON_IN_VENV" -m pytest tests/engine/test_cleanup.py tests/engine/test_engines.py --full \
    --junitxml="$ROOT/reports/junit-cleanup.xml" "$@"
}

# Not among the rest: where the processor does not help, a virtual machine takes ten times as long for everything.
machines() {
  make_ready
  step tests "pytest tests/machines/, two Debian servers from bare to rebooted"
  "$PYTHON_IN_VENV" -m pytest tests/machines/ --junitxml="$ROOT/reports/junit-machines.xml" "$@"
}

clean_engine() {
  step sweep "removing what earlier runs left"
  harness sweep
}

# The report is built after a failure too; the exit code is that of the tests, then that of the report.
scenarios() {
  local status=0 built=0
  local workers=(--numprocesses "${WORKERS:-auto}" --dist worksteal)
  # pytest itself checks what a deployment needs and makes the images, before it starts anything.
  step "$LAYOUT" "pytest scenarios/ $*"
  rm -rf "$RESULTS" "$ROOT/reports/junit.xml" "$NIGHT"
  "$PYTHON_IN_VENV" -m pytest scenarios/ --layout "$LAYOUT" ${SHARD:+--shard "$SHARD"} "${workers[@]}" "$@" || status=$?
  if [[ -n ${LEG:-} ]]; then keep_for_merge; fi
  report || built=$?
  counted "$ROOT/reports/junit.xml"
  return $((status ? status : built))
}

# A later attempt, such as a job that is run again, has a folder of its own: that the first failed stays to be seen.
keep_for_merge() {
  local shard=${SHARD:-1/1}
  local folder="$ROOT/reports/legs/$LEG/${GITHUB_RUN_ATTEMPT:-1}/${shard/\//of}"
  rm -rf "$folder"
  mkdir -p "$folder"
  cp -R "$RESULTS" "$ROOT/reports/junit.xml" "$folder/" || step "$LAYOUT" "no results to keep in $folder"
}

report() { "$ROOT/tools/report.sh" "$@"; }

merge() { harness merge "$@"; }

# First by legs, since one that has left nothing is missing in the report too, where nobody would notice.
gate() {
  local status=0
  harness gate || status=$?
  LAYOUT=$(harness gate --layouts) report --gate || status=1
  return "$status"
}

flaky() { harness flaky; }

site() {
  mkdir -p "$ROOT/reports/site"
  cp "$ROOT/reports/report.html" "$ROOT/reports/site/index.html"
  step site "reports/site/index.html"
}

load_images() {
  if [[ -f $IMAGES ]]; then logged load-images docker load --input "$IMAGES"; else step images "none in $IMAGES"; fi
}

save_images() {
  local names=()
  if [[ -f $IMAGES ]]; then
    step images "already in $IMAGES"
    return
  fi
  while read -r name; do names+=("$name"); done < <(harness images)
  if [[ ${#names[@]} -eq 0 ]]; then
    step images "none were made here: nothing to save"
    return
  fi
  mkdir -p "${IMAGES%/*}"
  logged save-images docker save --output "$IMAGES.part" "${names[@]}"
  mv "$IMAGES.part" "$IMAGES"
  step images "${#names[@]} in $IMAGES, $(du -h "$IMAGES" | cut -f1)"
}

counted() { step "in all" "$("$PYTHON_IN_VENV" "$ROOT/tools/counts.py" "$@")"; }

everything() {
  lint
  types
  unit "$@"
  clean_engine
  scenarios "$@"
  report --gate
  engine_tests
  counted "$ROOT"/reports/junit-{tests,engine}.xml "$ROOT/reports/junit.xml"
}

down() { harness down "$@"; }

status() { harness status "$@"; }

doctor() { harness doctor "$@"; }

score() { harness score "$@"; }

mutation() { harness score --mutation "$@"; }

catalogue() { harness catalogue --write; }

bench() { "$PYTHON_IN_VENV" -m bench "$@"; }

sweep() { harness sweep "$@"; }

up() {
  make_ready
  harness up --layout "$LAYOUT" "$@"
}

usage() {
  sed -n '2,/^set/s/^# \{0,1\}//p' "$ROOT/tools/run.sh" >&2
  exit 64
}

main() {
  local what=${1:-}
  cd "$ROOT"
  shift || true
  case $what in
    scenarios | up | mutation | bench | cleanup | load_images | save_images) set_up ;;
    unit | lint | types | catalogue | merge | gate | flaky) set_up_without_engine ;;
    machines) WITH_MACHINES=yes set_up ;;
    test)
      WITH_BROWSER=yes set_up
      what=everything
      ;;
    report | sweep | score | site) set_up_where_nothing_is ;;
    down | status | doctor)
      set_up_where_nothing_is
      set -- --layout "$LAYOUT" "$@"
      ;;
    *) usage ;;
  esac
  "$what" "$@"
}

main "$@"
