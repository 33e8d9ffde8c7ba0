#!/usr/bin/env bash
# Every linter, a line each: lint.sh checks, lint.sh --fix formats what can be formatted.
# All of them run, so that one run shows every complaint; the exit code is 1 if any complained.
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

PATH="$ROOT/.venv/bin:$PATH"
COMPLAINED=()
FILES=""

# Files of the project: committed or about to be, never what is ignored. Asked once, and before anything is linted: the
# lists below are made in subshells, where a failure would be lost and look like a list of nothing.
list_files() {
  local listed file
  listed=$(git ls-files --cached --others --exclude-standard 2>/dev/null) ||
    die 1 "lint: git does not list the files of $ROOT ($(git ls-files 2>&1 >/dev/null | head -n 1)): run it in a clone that is yours"
  FILES=$(while read -r file; do
    if [[ -f $file ]]; then printf '%s\n' "$file"; fi
  done <<<"$listed" | sort -u)
}

project_files() { # project_files PATTERN..., in which a * stands for slashes too
  local file pattern
  while read -r file; do
    for pattern in "$@"; do
      # shellcheck disable=SC2254 # it is a pattern
      case $file in $pattern)
        printf '%s\n' "$file"
        break
        ;;
      esac
    done
  done <<<"$FILES"
}

# Shell scripts by name, and those without an extension by their first line.
shell_scripts() {
  local file
  project_files '*.sh'
  project_files '.ci/*' 'compose/*' 'tools/*' | while read -r file; do
    case ${file##*/} in *.*) continue ;; esac
    if head -n 1 "$file" | grep -Eq '^#!.*\b(ba|da)?sh\b'; then
      printf '%s\n' "$file"
    fi
  done
}

lint() { # lint NAME COMMAND...
  local name=$1
  shift
  step lint "$name"
  "$@" || COMPLAINED+=("$name")
}

# Hand a list of files, a line each on standard input, to a linter. The project has some for each: none are a complaint.
lint_files() { # lint_files NAME COMMAND...
  local file
  local files=()
  while read -r file; do files+=("$file"); done
  if [[ ${#files[@]} -eq 0 ]]; then
    step lint "$1: no file to lint"
    COMPLAINED+=("$1")
    return
  fi
  lint "$@" "${files[@]}"
}

layers() { lint-imports --no-logo --no-cache --config pyproject.toml; }

# Ansible and its linter have an environment and a configuration of their own, found from their own folder.
ansible_lint() { (cd "$ANSIBLE" && PATH="$ANSIBLE_VENV/bin:$PATH" ansible-lint --nocolor -q); }

playbooks_parse() {
  (cd "$ANSIBLE" && "$ANSIBLE_VENV/bin/ansible-playbook" --syntax-check \
    --inventory inventories/production/hosts.yml playbooks/*.yml)
}

# .venv/bin is first on PATH: these are the versions of requirements.lock.
check() {
  lint "ruff" ruff check --quiet .
  lint "ruff format" ruff format --quiet --diff .
  lint "import layers" quiet_unless_broken layers
  lint_files "shellcheck" shellcheck --external-sources --source-path="$ROOT:SCRIPTDIR" < <(shell_scripts)
  lint_files "shfmt" shfmt --indent 2 --case-indent --diff < <(shell_scripts)
  lint_files "hadolint" hadolint --no-color --config tools/hadolint.yaml < <(project_files '*Dockerfile' '*Dockerfile.*')
  lint_files "yamllint" yamllint --strict --config-file tools/yamllint.yaml < <(project_files '*.yml' '*.yaml')
  lint_files "compose schema" check-jsonschema --quiet --builtin-schema compose-spec \
    < <(project_files 'compose/*.yml')
  lint_files "workflow schema" check-jsonschema --quiet --builtin-schema github-workflows \
    < <(project_files '.github/workflows/*.yml')
  lint_files "zizmor" zizmor --offline --quiet --no-progress < <(project_files '.github/workflows/*.yml')
  set_up_ansible
  lint "ansible-playbook --syntax-check" quiet_unless_broken playbooks_parse
  lint "ansible-lint" quiet_unless_broken ansible_lint
  lint_files "codespell" codespell < <(project_files '*')
}

fix() {
  lint "ruff" ruff check --quiet --fix .
  lint "ruff format" ruff format --quiet .
  lint_files "shfmt" shfmt --indent 2 --case-indent --write < <(shell_scripts)
}

quiet_unless_broken() {
  local output
  output=$("$@" 2>&1) || {
    printf '%s\n' "$output"
    return 1
  }
}

main() {
  local what=check
  case ${1:-} in
    --fix) what=fix ;;
    "") ;;
    *) die 64 "usage: lint.sh [--fix]" ;;
  esac
  cd "$ROOT"
  list_files
  "$what"
  if [[ ${#COMPLAINED[@]} -gt 0 ]]; then
    local names
    names=$(printf '%s, ' "${COMPLAINED[@]}")
    die 1 "lint: complaints from ${names%, }"
  fi
}

main "$@"
