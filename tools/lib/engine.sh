# shellcheck shell=bash
# A Docker Engine that answers, with Compose v2. Sourced after packages.sh.

MINIMUM_ENGINE=25 # the first to know a health check's start_interval
ENGINE_LOG=/var/log/docker.log
ENGINE_BUDGET_SECONDS=60 # 4 s as measured; a cold disk and a large image store take longer
ANSWER_SECONDS=10        # an engine that takes longer to say its version is stuck

limited() { if command -v timeout >/dev/null; then timeout "$ANSWER_SECONDS" "$@"; else "$@"; fi; }

engine_version() { limited docker version --format '{{.Server.Version}}' 2>/dev/null | grep .; }
engine_answers() { engine_version >/dev/null; }

has_compose_v2() { docker compose version --short 2>/dev/null | grep -Eq '^v?([2-9]|[1-9][0-9])\.'; }

installed_engine_is_enough() {
  command -v dockerd >/dev/null &&
    (($(dockerd --version | sed -n 's/^Docker version \([0-9]\{1,\}\).*/\1/p' | grep . || echo 0) >= MINIMUM_ENGINE))
}

uses_another_engine() {
  [[ -n ${DOCKER_HOST:-} ]] || case "$(docker context show 2>/dev/null)" in "" | default) false ;; *) true ;; esac
}

engine_command() { # the one command that a user should run
  if uses_another_engine; then
    echo "start the engine that DOCKER_HOST or the docker context names (docker context ls)"
  elif [[ $(uname -s) == Darwin ]]; then
    echo "start Docker Desktop: open -a Docker"
  elif limited docker version 2>&1 | grep -q 'permission denied'; then
    echo "an engine runs but refuses this user: sudo usermod -aG docker $(id -un), then log in again"
  elif command -v dockerd >/dev/null && [[ -d /run/systemd/system ]]; then
    echo "start it: sudo systemctl start docker"
  elif is_debian_family; then
    echo "run this once as root, it installs and starts one: sudo tools/setup.sh"
  elif command -v dnf >/dev/null; then
    echo "sudo dnf install moby-engine docker-compose && sudo systemctl start docker"
  else
    echo "install Docker Engine $MINIMUM_ENGINE or later with Compose v2 and start it"
  fi
}

check_engine() {
  local version
  if version=$(engine_version); then
    if ((${version%%.*} < MINIMUM_ENGINE)); then
      missing "Docker Engine $MINIMUM_ENGINE or later: $version answers; upgrade it with the packages it came from"
    fi
    if ! has_compose_v2 && ! can_install; then
      missing "Compose v2: the engine has $(docker-compose --version 2>/dev/null | head -n 1 | grep . || echo none); install the plugin (Fedora: dnf install docker-compose, Docker's own packages: docker-compose-plugin)"
    fi
  elif uses_another_engine || ! can_install; then
    missing "a Docker engine that answers: $(engine_command)"
  fi
}

# The package of Compose v2, by Ubuntu's, Docker's own and Debian's name for it; sets COMPOSE_PACKAGE.
find_compose() {
  local name
  for name in docker-compose-v2 docker-compose-plugin; do
    if (($(candidate_major "$name") >= 2)); then
      COMPOSE_PACKAGE=$name
      return
    fi
  done
  find_release docker-compose 2 || return 1
  COMPOSE_PACKAGE=docker-compose$FROM
}

install_engine() {
  step "docker engine" "none is installed that is new enough: looking for packages"
  refresh_package_lists
  { find_compose && find_release docker.io "$MINIMUM_ENGINE"; } ||
    die "$EXIT_PREREQUISITE" "missing: Docker Engine $MINIMUM_ENGINE or later: apt has no source for $(os_release VERSION_CODENAME) to derive Debian 13's from; install Engine and Compose v2 by hand"
  step "docker engine" "installing Engine and Compose v2 from $(release_name) (about 20 s)"
  # Some of these are one package on one release and two on another.
  # shellcheck disable=SC2046
  install_packages engine-install "docker.io$FROM" "$COMPOSE_PACKAGE" \
    $(if_known docker-cli) $(if_known docker-buildx) $(if_known containerd)
  hash -r
}

release_name() { if [[ -n $FROM ]]; then echo "Debian 13"; else echo "this host's own release"; fi; }

install_compose() {
  step "docker engine" "installing Compose v2: the client has none"
  refresh_package_lists
  find_compose ||
    die "$EXIT_PREREQUISITE" "missing: Compose v2: apt knows no package of it; install the plugin by hand"
  install_packages compose-install "$COMPOSE_PACKAGE"
}

# A pid file outlives the machine's processes when they are ended all at once; a new process may have
# its number by then, and dockerd would refuse to start.
forget_dead() { # forget_dead PID_FILE NAME
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 0
  if [[ $(cat "/proc/$pid/comm" 2>/dev/null) != "$2" ]]; then
    rm -f "$1"
  fi
}

start_engine() {
  if [[ -d /run/systemd/system ]]; then
    step "docker engine" "starting the docker service"
    logged engine-start systemctl start docker
  else
    step "docker engine" "starting dockerd, detached; its log is $ENGINE_LOG"
    forget_dead /var/run/docker.pid dockerd
    forget_dead /run/docker/containerd/containerd.pid containerd
    # Without forwarding between the host's interfaces containers cannot reach past this machine.
    # The lock of this set-up (9) is not the daemon's to hold.
    setsid dockerd --ip-forward=false >>"$ENGINE_LOG" 2>&1 </dev/null 9>&- &
    DAEMON=$!
    disown
  fi
  await_engine
}

DAEMON="" # dockerd's process id where it was started here
daemon_ended() { [[ -n $DAEMON ]] && ! kill -0 "$DAEMON" 2>/dev/null; }

await_engine() {
  local deadline=$((SECONDS + ENGINE_BUDGET_SECONDS))
  until engine_answers; do
    if daemon_ended; then
      engine_failed "dockerd ended at once"
    elif ((SECONDS >= deadline)); then
      engine_failed "dockerd did not answer within $ENGINE_BUDGET_SECONDS s"
    fi
    sleep 0.2
  done
  detail "Engine $(engine_version) answers"
}

engine_failed() {
  tail -n 15 "$ENGINE_LOG" 2>/dev/null | cut -c1-200 | sed 's/^/    | /' >&2
  die "$EXIT_PREREQUISITE" "missing: a Docker engine that answers: $1; its log is $ENGINE_LOG"
}

set_up_engine() {
  if ! engine_answers; then
    if ! installed_engine_is_enough; then
      install_engine
    fi
    start_engine
  fi
  if ! has_compose_v2; then
    install_compose
  fi
  has_compose_v2 ||
    die "$EXIT_PREREQUISITE" "missing: Compose v2: $(command -v docker) finds no compose plugin; install it or put the docker that has it first on PATH"
}
