# shellcheck shell=bash
# Packages of a Debian-family host. Sourced after console.sh.
#
# Debian 12's own Engine is too old and its Compose is v1, so these come from Debian 13, which
# runs on Debian 12 (they need glibc 2.34). Debian 13 is added as a source at priority 100: nothing
# is ever taken from it unless asked for. The entry is derived from the host's own, so the host's
# mirror, keys and proxy go on being used.

APT_ROOT=${APT_ROOT:-} # a prefix for apt's configuration, set by tests only
SUITE=trixie

WANTED=()
want() { WANTED+=("$@"); }

MISSING=()
missing() { MISSING+=("$*"); }

os_release() { # os_release KEY
  # shellcheck disable=SC1091
  (. /etc/os-release 2>/dev/null && eval "printf %s \"\${$1:-}\"")
}

is_debian_family() {
  case " $(os_release ID) $(os_release ID_LIKE) " in
    *" debian "* | *" ubuntu "*) return 0 ;;
    *) return 1 ;;
  esac
}

is_root() { [[ $(id -u) == 0 ]]; }

can_install() { is_debian_family && is_root && command -v apt-get >/dev/null; }

apt() { DEBIAN_FRONTEND=noninteractive apt-get --yes --option DPkg::Lock::Timeout=120 "$@"; }

# The version that apt would install, without its epoch; nothing where it knows none.
candidate() { # candidate PACKAGE
  LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([0-9]*:\)\{0,1\}\([0-9].*\)/\2/p'
}

candidate_major() { # candidate_major PACKAGE
  local version
  version=$(candidate "$1")
  version=${version%%[!0-9]*}
  echo "${version:-0}"
}

has_suite() { LC_ALL=C apt-cache policy 2>/dev/null | grep -q "n=$SUITE"; }

# Rewrite the host's first deb822 stanza for its own suite into one for Debian 13.
derive_deb822() { # derive_deb822 CODENAME FILE...
  local codename=$1
  shift
  awk -v codename="$codename" -v suite="$SUITE" '
    function finish() {
      if (!done && deb && main && own && !off) { printf "%s", kept; done = 1 }
      kept = ""; deb = main = own = off = 0
    }
    FNR == 1 { finish() }
    /^#/ { next }
    /^[ \t]*$/ { finish(); next }
    {
      field = tolower($1); line = $0
      if (field == "types:" && line ~ /(^|[ \t])deb([ \t]|$)/) { deb = 1; line = "Types: deb" }
      if (field == "components:" && line ~ /[ \t]main([ \t]|$)/) { main = 1; line = "Components: main" }
      if (field == "suites:") {
        for (i = 2; i <= NF; i++) if ($i == codename) own = 1
        line = "Suites: " suite
      }
      if (field == "enabled:" && tolower($2) == "no") off = 1
      kept = kept line "\n"
    }
    END { finish() }
  ' "$@"
}

# The same for one-line entries, options in brackets included.
derive_one_line() { # derive_one_line CODENAME FILE...
  local codename=$1
  shift
  awk -v codename="$codename" -v suite="$SUITE" '
    $1 == "deb" && / main([ \t]|$)/ {
      for (i = 3; i <= NF; i++) if ($i == codename) {
        entry = $1
        for (j = 2; j < i; j++) entry = entry " " $j
        print entry, suite, "main"
        exit
      }
    }
  ' "$@"
}

add_suite() {
  local etc="$APT_ROOT/etc/apt" codename entry file
  local files=()
  codename=$(os_release VERSION_CODENAME)
  for file in "$etc"/sources.list.d/*.sources; do [[ -f $file ]] && files+=("$file"); done
  entry=$([[ ${#files[@]} -eq 0 ]] || derive_deb822 "$codename" "${files[@]}")
  if [[ -n $entry ]]; then
    file="$etc/sources.list.d/wireguard-harness-$SUITE.sources"
  else
    files=()
    for file in "$etc/sources.list" "$etc"/sources.list.d/*.list; do [[ -f $file ]] && files+=("$file"); done
    entry=$([[ ${#files[@]} -eq 0 ]] || derive_one_line "$codename" "${files[@]}")
    file="$etc/sources.list.d/wireguard-harness-$SUITE.list"
  fi
  [[ -n $entry ]] || return 1
  mkdir -p "$etc/preferences.d"
  printf 'Package: *\nPin: release n=%s\nPin-Priority: 100\n' "$SUITE" >"$etc/preferences.d/wireguard-harness-$SUITE"
  printf '%s\n' "$entry" >"$file"
  detail "added Debian 13 at priority 100 in $file"
}

# Find PACKAGE of MAJOR or later: FROM becomes the suffix that asks apt for it, empty for the host's own release.
find_release() { # find_release PACKAGE MAJOR
  FROM=""
  if (($(candidate_major "$1") >= $2)); then
    return
  fi
  if ! has_suite; then
    add_suite || return 1
    logged apt-update-suite apt update
  fi
  FROM=/$SUITE
}

# The package as it is to be asked for, if apt knows it by that name.
if_known() { # if_known PACKAGE
  if [[ -n $(candidate "$1") ]]; then echo "$1$FROM"; fi
}

install_packages() { # install_packages NAME PACKAGE...
  local name=$1
  shift
  logged "$name" apt install --no-install-recommends "$@"
}

install_wanted() {
  if [[ ${#WANTED[@]} -eq 0 ]]; then
    return
  fi
  step packages "installing ${WANTED[*]}"
  refresh_package_lists
  install_packages apt-install "${WANTED[@]}"
}

LISTS_ARE_FRESH=""
refresh_package_lists() {
  if [[ -z $LISTS_ARE_FRESH ]]; then
    logged apt-update apt update
    LISTS_ARE_FRESH=yes
  fi
}
