# shellcheck shell=bash
# The Python environment: .venv, exactly what requirements.lock says. Sourced after console.sh.

VENV="$ROOT/.venv"
LOCK="$ROOT/requirements.lock"
INSTALLED_LOCK="$VENV/installed.lock" # a copy of the lock that .venv was made from, written last

python_is_ready() {
  cmp -s "$LOCK" "$INSTALLED_LOCK" && "$VENV/bin/python" -c '' 2>/dev/null
}

# Print the first interpreter that is new enough.
find_python() {
  local name
  for name in "${PYTHON:-python3}" python3.11 python3.12 python3.13 python3.14; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  return 1
}

has_venv_module() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

check_python() {
  local python
  if python_is_ready; then
    return
  fi
  if ! python=$(find_python); then
    if can_install; then
      want python3 python3-venv
    else
      missing "Python 3.11 or later: install it (Debian: apt-get install python3 python3-venv, Fedora: dnf install python3), or set PYTHON to its path"
    fi
  elif ! has_venv_module "$python"; then
    if can_install; then
      want python3-venv
    else
      missing "Python's venv module for $python: install it (Debian, as root: apt-get install python3-venv)"
    fi
  fi
}

# From wheels alone, each checked against the lock's hash; nothing is built and nothing else is fetched.
install_wheels() { # install_wheels NAME LOCK
  logged "$1" "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --no-compile \
    --progress-bar off --require-hashes --no-deps --only-binary :all: --requirement "$2"
}

# What every command imports is compiled once, here, also for whoever has Python write no such files: it is then compiled
# anew at each start, which takes longer than the start itself.
compile_imports() {
  (cd "$ROOT" && logged compile env -u PYTHONDONTWRITEBYTECODE "$VENV/bin/python" -c \
    'import harness.cli, harness.consulting, harness.stage, harness.reporting, pytest, xdist, pymysql, redis')
}

set_up_python() {
  local python
  if python_is_ready; then
    return
  fi
  python=$(find_python) || die "$EXIT_PREREQUISITE" "missing: Python 3.11 or later: the newest Python of this host's packages is older; set PYTHON to the path of a newer one"
  step python "making .venv with $("$python" --version)"
  logged venv "$python" -m venv --clear "$VENV"
  step python "installing $(grep -c == "$LOCK") packages from requirements.lock (about 20 s)"
  install_wheels pip-install "$LOCK"
  compile_imports
  cp "$LOCK" "$INSTALLED_LOCK"
}
