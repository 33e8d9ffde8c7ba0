#!/bin/bash
# Starts mariadbd with the database, user and passwords that the environment asks for. The variables
# are those of the official image, so that one compose file runs either:
#
#   MARIADB_DATABASE              created if missing, utf8mb4
#   MARIADB_USER                  may do anything in that database and nothing outside it
#   MARIADB_PASSWORD[_FILE]       that user's password
#   MARIADB_ROOT_PASSWORD[_FILE]  root's password; without one, root logs in by socket only
#   MARIADB_ROOT_HOST             from where root may log in besides localhost (default: nowhere)
#
# All of it is done by an init file that the server runs at every start before it accepts its first
# connection. Each statement may be repeated, so a rotated password takes effect with a restart, and
# there is no temporary server that could be taken for the real one.

set -euo pipefail

readonly data=/var/lib/mysql
readonly statements=/run/mysqld/init.sql
readonly key=/run/mysqld/server.key certificate=/run/mysqld/server.crt

die() {
  printf 'mariadb: %s\n' "$1" >&2
  exit 78
}

# value NAME: what NAME holds, or the file that NAME_FILE names, without trailing newlines.
value() {
  local name=$1 file_name=$1_FILE text
  local file=${!file_name-}
  text=${!name-}
  if [[ -n $file ]]; then
    [[ -z $text ]] || die "both $name and $file_name are set: unset one of them"
    [[ -f $file && -r $file ]] || die "$file_name is $file, which uid $(id -u) cannot read: mount the secret there, readable by that user"
    text=$(tr -d '\000' <"$file")
    [[ -n $text ]] || die "$file_name is $file, which is empty: put the password into it"
  fi
  printf '%s' "$text"
}

# literal TEXT, name TEXT: TEXT as an SQL string and as an SQL identifier.
literal() {
  local text=${1//\\/\\\\}
  text=${text//\'/\\\'}
  text=${text//$'\n'/\\n}
  text=${text//$'\r'/\\r}
  printf "'%s'" "$text"
}

name() { printf "\`%s\`" "${1//\`/\`\`}"; }

initialise() {
  # A start that was killed half-way leaves only .new; `mysql` comes last, and says it is complete.
  rm -rf "$data/.new"
  mkdir -m 0700 "$data/.new"
  # A grant for the host name of the moment, which will not be this container's name.
  printf "DELETE FROM proxies_priv WHERE Host <> 'localhost';\n" >"$data/.new.sql"
  mariadb-install-db --datadir="$data/.new" --skip-test-db --skip-name-resolve \
    --auth-root-authentication-method=socket --auth-root-socket-user=root \
    --extra-file="$data/.new.sql" >"$data/.new.log" 2>&1 || {
    tail -n 5 "$data/.new.log" >&2
    die "mariadb-install-db failed: see the lines above"
  }
  rm "$data/.new.log" "$data/.new.sql"
  mv "$data/.new/mysql" "$data/.mysql"
  find "$data/.new" -mindepth 1 -maxdepth 1 -exec mv -t "$data" {} +
  mv "$data/.mysql" "$data/mysql"
  rmdir "$data/.new"
}

write_statements() {
  local database=${MARIADB_DATABASE-} user=${MARIADB_USER-} root_host=${MARIADB_ROOT_HOST:-localhost} password root_password wild
  password=$(value MARIADB_PASSWORD)
  root_password=$(value MARIADB_ROOT_PASSWORD)

  [[ -z $user || -n $password ]] || die "MARIADB_USER is $user and has no password: set MARIADB_PASSWORD_FILE"
  [[ $user != root ]] || die "MARIADB_USER is root, whose password is MARIADB_ROOT_PASSWORD_FILE: choose another user"
  [[ $root_host == localhost || -n $root_password ]] ||
    die "MARIADB_ROOT_HOST is $root_host and root has no password: set MARIADB_ROOT_PASSWORD_FILE"

  if [[ -n $database ]]; then
    printf 'CREATE DATABASE IF NOT EXISTS %s CHARACTER SET utf8mb4;\n' "$(name "$database")"
  fi
  if [[ -n $user ]]; then
    user="$(literal "$user")@'%'"
    printf 'CREATE USER IF NOT EXISTS %s IDENTIFIED BY %s;\n' "$user" "$(literal "$password")"
    printf 'ALTER USER %s IDENTIFIED BY %s;\n' "$user" "$(literal "$password")"
    if [[ -n $database ]]; then
      # In a grant, _ and % stand for any characters unless they are escaped.
      wild=${database//_/\\_}
      wild=${wild//%/\\%}
      printf 'GRANT ALL PRIVILEGES ON %s.* TO %s;\n' "$(name "$wild")" "$user"
    fi
  fi
  if [[ -n $root_password ]]; then
    printf "ALTER USER root@localhost IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD(%s);\n" \
      "$(literal "$root_password")"
    if [[ $root_host != localhost ]]; then
      root_host="root@$(literal "$root_host")"
      printf 'CREATE USER IF NOT EXISTS %s IDENTIFIED BY %s;\n' "$root_host" "$(literal "$root_password")"
      printf 'ALTER USER %s IDENTIFIED BY %s;\n' "$root_host" "$(literal "$root_password")"
      printf 'GRANT ALL PRIVILEGES ON *.* TO %s WITH GRANT OPTION;\n' "$root_host"
    fi
  fi
}

[[ ${1-} != -* ]] || set -- mariadbd "$@"

case ${1-} in
  mariadbd | mysqld | initialise-data-directory) ;;
  *) exec "$@" ;;
esac

[[ -w $data && -x $data ]] ||
  die "$data belongs to uid $(stat -c %u "$data") and cannot be written by uid $(id -u): run as that user, or mount an empty volume that this one owns"

if [[ ! -d $data/mysql ]]; then
  [[ -z $(find "$data" -mindepth 1 -maxdepth 1 ! -name lost+found ! -name '.new*' -print -quit) ]] ||
    die "$data is neither empty nor a data directory of MariaDB: mount another volume there"
  initialise
fi

[[ $1 != initialise-data-directory ]] || exit 0

umask 077
write_statements >"$statements"
# Without a certificate the server makes an RSA key of 4096 bits at every start: up to a second.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 3650 -subj /CN=mariadb \
  -keyout "$key" -out "$certificate" 2>/dev/null || die "openssl could not make a certificate in /run/mysqld"
umask 022
exec "$@" --ssl-key="$key" --ssl-cert="$certificate" --init-file="$statements"
