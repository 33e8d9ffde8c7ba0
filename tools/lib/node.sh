# shellcheck shell=bash
# Node.js and the report builder. Sourced after python.sh.
#
# The host's Node.js is used where it is new enough; elsewhere one comes as a wheel into .venv,
# checked against a hash like everything else there, so that no host needs to install it.

REPORTS="$ROOT/reports"
NODE_LOCK="$REPORTS/requirements-node.lock"
INSTALLED_PACKAGES="$REPORTS/node_modules/installed.lock" # a copy of package-lock.json, written last

host_node_is_enough() {
  command -v npm >/dev/null &&
    node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null
}

report_builder_is_ready() {
  cmp -s "$REPORTS/package-lock.json" "$INSTALLED_PACKAGES" &&
    { [[ -x $VENV/bin/node ]] || host_node_is_enough; }
}

# Node.js from the environment first: it is there only where the host has none.
use_node() {
  if [[ -x $VENV/bin/node ]]; then
    PATH="$VENV/bin:$PATH"
  fi
}

# Callers may go on without it, so each step says itself that the next is not to be taken.
set_up_report_builder() {
  if report_builder_is_ready; then
    return
  fi
  if [[ ! -x $VENV/bin/node ]] && ! host_node_is_enough; then
    step report "installing Node.js into .venv: this host has none from 20 on (about 10 s)"
    install_wheels node-install "$NODE_LOCK" || return
  fi
  use_node
  step report "installing Allure from package-lock.json (about 15 s)"
  # A registry that cannot be reached is asked three times, which by npm's own default takes more than a minute.
  logged npm-ci npm --prefix "$REPORTS" ci --ignore-scripts --no-audit --no-fund --fetch-retry-maxtimeout=20000 || return
  cp "$REPORTS/package-lock.json" "$INSTALLED_PACKAGES"
}
