# shellcheck shell=bash
# IPv4 arithmetic and number ranges. Results are left in REPLY, so that nothing forks.

# is_number TEXT LOW HIGH
is_number() {
  [[ $1 =~ ^(0|[1-9][0-9]{0,9})$ ]] && (($1 >= $2 && $1 <= $3))
}

# ipv4_number TEXT: 10.100.0.11 becomes 174325771.
ipv4_number() {
  local octet='(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'
  [[ $1 =~ ^$octet\.$octet\.$octet\.$octet$ ]] || return 1
  REPLY=$(((BASH_REMATCH[1] << 24) | (BASH_REMATCH[2] << 16) | (BASH_REMATCH[3] << 8) | BASH_REMATCH[4]))
}

is_ipv4() {
  local REPLY
  ipv4_number "$1"
}

# is_cidr TEXT LOW HIGH: an IPv4 address with a prefix length between LOW and HIGH.
is_cidr() {
  [[ $1 == */* ]] && is_ipv4 "${1%/*}" && is_number "${1##*/}" "$2" "$3"
}

# subnet_of CIDR: 10.100.0.11/24 becomes 10.100.0.0/24.
subnet_of() {
  local prefix=${1##*/}
  ipv4_number "${1%/*}"
  ((REPLY &= 0xffffffff << (32 - prefix), 1))
  REPLY="$((REPLY >> 24 & 255)).$((REPLY >> 16 & 255)).$((REPLY >> 8 & 255)).$((REPLY & 255))/$prefix"
}

# overlaps CIDR CIDR: two subnets overlap when they are equal under the shorter of their prefixes.
overlaps() {
  local REPLY first shorter=${1##*/}
  ((${2##*/} < shorter)) && shorter=${2##*/}
  subnet_of "${1%/*}/$shorter"
  first=$REPLY
  subnet_of "${2%/*}/$shorter"
  [[ $REPLY == "$first" ]]
}
