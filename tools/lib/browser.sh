# shellcheck shell=bash
# A real browser for the tests of the report. Sourced after python.sh; needs the packages' functions too.
#
# Chromium is the host's own, and Playwright, which drives it, comes into .venv without browsers of its own. Where
# there is no Chromium and none can be installed the tests that need one are skipped, and say so.

BROWSER_LOCK="$ROOT/tools/requirements-browser.lock"
INSTALLED_BROWSER_LOCK="$VENV/installed-browser.lock" # a copy of the lock, written last

has_browser() {
  local name
  for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then return 0; fi
  done
  return 1
}

check_browser() {
  # Ubuntu's package of that name is but a hint at its snap.
  if ! has_browser && can_install && [[ $(os_release ID) == debian ]]; then want chromium; fi
}

browser_is_ready() { cmp -s "$BROWSER_LOCK" "$INSTALLED_BROWSER_LOCK"; }

set_up_browser() {
  if browser_is_ready; then
    return
  fi
  step browser "installing Playwright into .venv, for the tests of the report (about 5 s)"
  install_wheels pip-install-browser "$BROWSER_LOCK"
  cp "$BROWSER_LOCK" "$INSTALLED_BROWSER_LOCK"
}
