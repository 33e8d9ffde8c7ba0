# shellcheck shell=bash disable=SC2034,SC2154 # the parts share their variables
# The settings, read from the environment and from secret files. Nothing here looks at the network
# or changes anything; whatever is wrong is refused with one line that says how to put it right.

# Forward N sends port[N]/protocol[N] of the tunnel to destination[N]. Where that is by interface[N]
# and, if it is not on an attached network, next_hop[N], is found out later from the routes.
forward_port=()
forward_protocol=()
forward_destination=()
forward_interface=()
forward_next_hop=()

# refuse NAME VALUE PROBLEM. A key is never shown, also where it was put into the wrong variable.
refuse() {
  local shown=${2@Q}
  [[ $1 != WG_PEER_PUBLIC_KEY && $2 =~ [A-Za-z0-9+/]{43}= ]] && shown='(not shown, it looks like a key)'
  die "$EX_CONFIG" "$1=$shown: $3"
}

require() {
  local name
  for name in "$@"; do
    [[ -n ${!name-} ]] || die "$EX_CONFIG" "$name is not set; the gateway cannot start without it"
  done
}

# 32 bytes in base64: 43 characters, the last of which carries four bits, and the padding.
is_key() {
  [[ $1 =~ ^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$ ]]
}

# read_key_file NAME: the key in the file that the variable names, left in REPLY.
read_key_file() {
  local name=$1 path=${!1}
  [[ -e $path ]] || refuse "$name" "$path" "there is no such file; mount the secret there, or name the file that holds the key"
  [[ -f $path ]] || refuse "$name" "$path" "not a file (Docker makes a directory where the file to mount is missing on the host); generate the keys, then mount the file"
  [[ -r $path ]] ||
    refuse "$name" "$path" "uid $EUID may not read it (owner $(stat -c '%u, mode %a' "$path")); change its owner, or add the capability DAC_READ_SEARCH"
  { REPLY=$(<"$path"); } 2>/dev/null # bash would remark on null bytes
  REPLY=${REPLY%"${REPLY##*[![:space:]]}"}
  [[ -n $REPLY ]] || refuse "$name" "$path" "the file is empty; write a key into it (wg genkey, wg pubkey, wg genpsk)"
  is_key "$REPLY" || refuse "$name" "$path" "the file holds ${#REPLY} characters that are not a key; a key is 32 bytes in base64, 44 characters, as wg genkey, wg pubkey and wg genpsk print them"
}

# A misspelt WG_FORWARD_PORT would otherwise mean a gateway that forwards nothing. Only the name is
# shown: the value of a WG_PRIVATE_KEY would be one.
refuse_unknown_names() {
  local known name candidate length best near
  known=" WG_ADDRESS WG_LISTEN_PORT WG_PRIVATE_KEY_FILE WG_PEER_PUBLIC_KEY WG_PEER_PUBLIC_KEY_FILE \
WG_PRESHARED_KEY_FILE WG_PEER_ALLOWED_IPS WG_PEER_ENDPOINT WG_PERSISTENT_KEEPALIVE WG_MTU \
WG_IMPLEMENTATION WG_IPTABLES WG_FORWARD_PORTS WG_FORWARD_INTERFACE WG_HANDSHAKE_MAX_AGE "
  for name in $(compgen -e WG_); do
    [[ $known != *" $name "* ]] || continue
    best=0 near=''
    for candidate in $known; do
      length=${#candidate}
      while [[ $name != "${candidate:0:length}"* ]]; do ((length -= 1)); done
      if ((length > best)); then
        best=$length near=$candidate
      elif ((length == best)); then
        near+=" or $candidate"
      fi
    done
    die "$EX_CONFIG" "$name is not a setting of the gateway (its value is not shown); did you mean $near?"
  done
}

read_settings() {
  refuse_unknown_names
  : "${WG_LISTEN_PORT:=51820}" "${WG_MTU:=1420}" "${WG_IMPLEMENTATION:=auto}" "${WG_IPTABLES:=auto}"
  : "${WG_PERSISTENT_KEEPALIVE:=0}" "${WG_HANDSHAKE_MAX_AGE:=0}" "${WG_PEER_ENDPOINT:=}"
  : "${WG_PRESHARED_KEY_FILE:=}" "${WG_FORWARD_PORTS:=}" "${WG_FORWARD_INTERFACE:=}"
  require WG_ADDRESS WG_PRIVATE_KEY_FILE WG_PEER_ALLOWED_IPS
  read_choices_and_numbers
  read_tunnel
  read_forwards
  read_keys
}

read_choices_and_numbers() {
  [[ $WG_IMPLEMENTATION =~ ^(auto|kernel|userspace)$ ]] ||
    refuse WG_IMPLEMENTATION "$WG_IMPLEMENTATION" "unknown; write auto, kernel or userspace"
  [[ $WG_IPTABLES =~ ^(auto|nft|legacy)$ ]] ||
    refuse WG_IPTABLES "$WG_IPTABLES" "unknown; write auto, nft or legacy"
  is_number "$WG_LISTEN_PORT" 1 65535 ||
    refuse WG_LISTEN_PORT "$WG_LISTEN_PORT" "not a UDP port; write a number from 1 to 65535"
  is_number "$WG_MTU" 576 9000 ||
    refuse WG_MTU "$WG_MTU" "not an MTU for an IPv4 tunnel; write a number from 576 to 9000, 1420 on an ordinary network"
  is_number "$WG_PERSISTENT_KEEPALIVE" 0 65535 ||
    refuse WG_PERSISTENT_KEEPALIVE "$WG_PERSISTENT_KEEPALIVE" "not an interval; write seconds from 0 (off) to 65535"
  is_number "$WG_HANDSHAKE_MAX_AGE" 0 999999999 ||
    refuse WG_HANDSHAKE_MAX_AGE "$WG_HANDSHAKE_MAX_AGE" "not an age; write seconds, or 0 to have a handshake of any age accepted"
}

read_tunnel() {
  local entry host
  is_cidr "$WG_ADDRESS" 1 31 ||
    refuse WG_ADDRESS "$WG_ADDRESS" "not an IPv4 address with the prefix length of the tunnel's subnet; write for example 10.100.0.11/24"
  subnet_of "$WG_ADDRESS"
  tunnel_subnet=$REPLY

  peer_allowed_ips=''
  for entry in ${WG_PEER_ALLOWED_IPS//,/ }; do
    is_cidr "$entry" 0 32 ||
      refuse WG_PEER_ALLOWED_IPS "$entry" "not an IPv4 subnet; write for example 10.100.0.10/32, several separated by commas or spaces"
    peer_allowed_ips+=${peer_allowed_ips:+,}$entry
  done
  [[ -n $peer_allowed_ips ]] ||
    refuse WG_PEER_ALLOWED_IPS "$WG_PEER_ALLOWED_IPS" "no subnet in it; write for example 10.100.0.10/32"

  [[ -n $WG_PEER_ENDPOINT ]] || return 0
  local name='[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?'
  if ! [[ $WG_PEER_ENDPOINT =~ ^($name|\[[0-9A-Fa-f:.]+\]):[0-9]+$ ]] ||
    ! is_number "${WG_PEER_ENDPOINT##*:}" 1 65535; then
    refuse WG_PEER_ENDPOINT "$WG_PEER_ENDPOINT" "not host:port; write for example 172.20.0.3:51820"
  fi
  host=${WG_PEER_ENDPOINT%:*}
  [[ $host =~ ^[0-9.]+$ ]] || return 0
  is_ipv4 "$host" || refuse WG_PEER_ENDPOINT "$WG_PEER_ENDPOINT" "$host is not an IPv4 address; write for example 172.20.0.3:51820"
  overlaps "$host/32" "$tunnel_subnet" &&
    refuse WG_PEER_ENDPOINT "$WG_PEER_ENDPOINT" "$host lies inside the tunnel ($tunnel_subnet); give the address that the peer has outside of it"
  return 0
}

read_forwards() {
  local entry port protocol destination rest declared=' '
  for entry in $WG_FORWARD_PORTS; do
    IFS=: read -r port protocol destination rest <<<"$entry"
    [[ $entry == *:*:* && -z $rest && $entry != *: ]] ||
      refuse WG_FORWARD_PORTS "$entry" "not port:protocol:address; write for example 3306:tcp:10.101.0.2"
    is_number "$port" 1 65535 ||
      refuse WG_FORWARD_PORTS "$entry" "${port@Q} is not a port; write a number from 1 to 65535, as in 3306:tcp:10.101.0.2"
    [[ $protocol == tcp || $protocol == udp ]] ||
      refuse WG_FORWARD_PORTS "$entry" "${protocol@Q} is not a protocol that is forwarded; write tcp or udp, as in 3306:tcp:10.101.0.2"
    is_ipv4 "$destination" ||
      refuse WG_FORWARD_PORTS "$entry" "${destination@Q} is not an IPv4 address; give the container a fixed one and write it, as in 3306:tcp:10.101.0.2"
    overlaps "$destination/32" "$tunnel_subnet" &&
      refuse WG_FORWARD_PORTS "$entry" "$destination lies inside the tunnel ($tunnel_subnet); write the address that the service has on this side of it"
    [[ $declared != *" $port:$protocol "* ]] ||
      refuse WG_FORWARD_PORTS "$entry" "$port:$protocol is declared twice; a port leads to one destination, remove one of the two"
    declared+="$port:$protocol "
    forward_port+=("$port")
    forward_protocol+=("$protocol")
    forward_destination+=("$destination")
  done
}

read_keys() {
  local peer_name=WG_PEER_PUBLIC_KEY
  if [[ -n ${WG_PEER_PUBLIC_KEY-} && -n ${WG_PEER_PUBLIC_KEY_FILE-} ]]; then
    refuse WG_PEER_PUBLIC_KEY_FILE "$WG_PEER_PUBLIC_KEY_FILE" "WG_PEER_PUBLIC_KEY is set as well; keep one of the two"
  elif [[ -n ${WG_PEER_PUBLIC_KEY-} ]]; then
    is_key "$WG_PEER_PUBLIC_KEY" ||
      refuse WG_PEER_PUBLIC_KEY "$WG_PEER_PUBLIC_KEY" "${#WG_PEER_PUBLIC_KEY} characters that are not a key; a key is 32 bytes in base64, 44 characters, as wg pubkey prints it"
    peer_public_key=$WG_PEER_PUBLIC_KEY
  elif [[ -n ${WG_PEER_PUBLIC_KEY_FILE-} ]]; then
    peer_name=WG_PEER_PUBLIC_KEY_FILE
    read_key_file WG_PEER_PUBLIC_KEY_FILE
    peer_public_key=$REPLY
  else
    die "$EX_CONFIG" "WG_PEER_PUBLIC_KEY is not set, nor is WG_PEER_PUBLIC_KEY_FILE; set one of the two to the peer's public key"
  fi
  if [[ -n $WG_PRESHARED_KEY_FILE ]]; then read_key_file WG_PRESHARED_KEY_FILE; fi

  read_key_file WG_PRIVATE_KEY_FILE
  local private_key=$REPLY
  [[ $peer_public_key != "$private_key" ]] ||
    die "$EX_CONFIG" "$peer_name=(not shown): it is this gateway's own private key; give the peer's public key"
  own_public_key=$(wg pubkey <"$WG_PRIVATE_KEY_FILE")
  [[ $own_public_key != "$peer_public_key" ]] ||
    refuse "$peer_name" "${!peer_name}" "this is the gateway's own public key ($own_public_key); give the peer's, derived from the peer's private key"
}
