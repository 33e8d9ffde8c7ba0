# shellcheck shell=bash
# Ansible's environment: ansible/.venv, exactly what the two locks say. Sourced after python.sh.
#
# One of its own, because only the production layout and the linters need it, and because what
# deploys a site should not change with what tests it. About 15 s and 75 MB.

ANSIBLE="$ROOT/ansible"
ANSIBLE_VENV="$ANSIBLE/.venv"
ANSIBLE_LOCKS=("$ANSIBLE/requirements.lock" "$ANSIBLE/requirements-collections.lock")
INSTALLED_ANSIBLE="$ANSIBLE_VENV/installed.lock" # copies of both locks, written last

ansible_is_ready() {
  cat "${ANSIBLE_LOCKS[@]}" | cmp -s - "$INSTALLED_ANSIBLE" &&
    "$ANSIBLE_VENV/bin/python" -c 'import ansible' 2>/dev/null
}

# Its collections come as part of a large package, of which only they are unpacked.
install_collections() {
  local wheels status=0
  wheels=$(mktemp -d)
  logged ansible-download "$ANSIBLE_VENV/bin/python" -m pip download --disable-pip-version-check --no-input \
    --progress-bar off --require-hashes --no-deps --only-binary :all: --dest "$wheels" \
    --requirement "$ANSIBLE/requirements-collections.lock" || status=$?
  if ((status == 0)); then
    "$ANSIBLE_VENV/bin/python" "$ROOT/tools/ansible_collections.py" "$wheels"/ansible-*.whl || status=$?
  fi
  rm -rf "$wheels"
  return "$status"
}

set_up_ansible() {
  local python
  if ansible_is_ready; then
    return
  fi
  python=$(find_python) || die "$EXIT_PREREQUISITE" "missing: Python 3.11 or later; set PYTHON to the path of one"
  step ansible "making ansible/.venv with Ansible, its linter and community.docker (about 15 s)"
  logged ansible-venv "$python" -m venv --clear "$ANSIBLE_VENV"
  VENV="$ANSIBLE_VENV" install_wheels ansible-install "$ANSIBLE/requirements.lock"
  install_collections
  cat "${ANSIBLE_LOCKS[@]}" >"$INSTALLED_ANSIBLE"
}
