# shellcheck shell=bash disable=SC2034,SC2154 # the parts share their variables
# What the container offers, looked at before anything is changed: capabilities, devices, addresses,
# routes, and which WireGuard and which iptables work here.

check_surroundings() {
  check_capability
  check_subnet
  check_forwarding
  choose_implementation
  choose_iptables
}

# has_capability NUMBER, as in linux/capability.h
has_capability() {
  local name value
  while read -r name value; do
    [[ $name == CapEff: ]] && break
  done </proc/self/status
  ((0x$value >> $1 & 1))
}

check_capability() {
  local net_admin=12
  has_capability "$net_admin" ||
    die "$EX_CONFIG" "the capability NET_ADMIN is missing; give it to the container, in the compose file as cap_add: [NET_ADMIN]"
}

check_subnet() {
  local interface cidr
  while read -r interface cidr; do
    overlaps "$tunnel_subnet" "$cidr" || continue
    subnet_of "$cidr"
    refuse WG_ADDRESS "$WG_ADDRESS" "the tunnel's subnet $tunnel_subnet overlaps $REPLY, which is attached as $interface; give one of the two another subnet"
  done < <(ip -json -4 address show | jq -r '.[] | select(.ifname != "wg0") | .ifname as $name
             | .addr_info[]? | "\($name) \(.local)/\(.prefixlen)"')
}

# route_to ADDRESS: the interface that leads there, left in REPLY, and in next_hop the router on the
# way, which is empty where the network is attached.
route_to() {
  next_hop=''
  read -r REPLY next_hop < <(ip -json route get "$1" 2>/dev/null |
    jq -r '.[0] | select((.type // "unicast") == "unicast") | "\(.dev) \(.gateway // "")"') || true
  [[ -n $REPLY ]]
}

check_forwarding() {
  local index entry forwarding
  if [[ -n $WG_FORWARD_INTERFACE && ! -e /sys/class/net/$WG_FORWARD_INTERFACE ]]; then
    refuse WG_FORWARD_INTERFACE "$WG_FORWARD_INTERFACE" "there is no such interface; name one of $(interfaces), or leave it unset and the route to each destination decides"
  fi
  ((${#forward_port[@]})) || return 0
  forwarding=$(</proc/sys/net/ipv4/ip_forward)
  [[ $forwarding == 1 ]] ||
    refuse WG_FORWARD_PORTS "$WG_FORWARD_PORTS" "net.ipv4.ip_forward is $forwarding, so nothing can be forwarded; set it in the compose file as sysctls: {net.ipv4.ip_forward: 1}"
  for index in "${!forward_port[@]}"; do
    entry=${forward_port[index]}:${forward_protocol[index]}:${forward_destination[index]}
    route_to "${forward_destination[index]}" ||
      refuse WG_FORWARD_PORTS "$entry" "no route leads there from the gateway, or it is its own address; attach the gateway to that network, or correct the address"
    [[ -z $WG_FORWARD_INTERFACE || $WG_FORWARD_INTERFACE == "$REPLY" ]] ||
      refuse WG_FORWARD_INTERFACE "$WG_FORWARD_INTERFACE" "the route to ${forward_destination[index]} ($entry) leaves by $REPLY; write that, or leave it unset and the route to each destination decides"
    forward_interface[index]=$REPLY
    forward_next_hop[index]=$next_hop
  done
}

interfaces() {
  ip -json link show | jq -r '[.[].ifname | select(. != "lo")] | join(", ")'
}

# Kernel WireGuard is there if a link of its type can be made; the trial link is removed at once.
kernel_has_wireguard() {
  ip link add wg-trial type wireguard 2>/dev/null && ip link delete wg-trial
}

choose_implementation() {
  implementation=wireguard-go
  if [[ $WG_IMPLEMENTATION != userspace ]] && kernel_has_wireguard; then
    implementation=kernel
    return
  fi
  [[ $WG_IMPLEMENTATION != kernel ]] ||
    refuse WG_IMPLEMENTATION kernel "this kernel ($(uname -r)) has no WireGuard; load its module on the host (modprobe wireguard), or write auto"
  { : <>/dev/net/tun; } 2>/dev/null ||
    refuse WG_IMPLEMENTATION "$WG_IMPLEMENTATION" "wireguard-go needs /dev/net/tun and it cannot be opened here; give it to the container, in the compose file as devices: [/dev/net/tun]"
}

iptables_works() {
  local table
  for table in filter nat mangle; do
    "xtables-$1-multi" iptables -w -t "$table" -S >/dev/null 2>&1 || return
  done
}

choose_iptables() {
  local backend complaint net_raw=13
  for backend in nft legacy; do
    [[ $WG_IPTABLES == auto || $WG_IPTABLES == "$backend" ]] || continue
    if iptables_works "$backend"; then
      iptables_backend=$backend
      return
    fi
  done
  # iptables-legacy talks to the kernel over a raw socket; iptables-nft does not.
  if [[ $backend == legacy ]] && ! has_capability "$net_raw"; then
    refuse WG_IPTABLES "$WG_IPTABLES" "iptables-legacy needs the capability NET_RAW too; give it to the container, in the compose file as cap_add: [NET_ADMIN, NET_RAW]"
  fi
  complaint=$("xtables-$backend-multi" iptables -w -t nat -S 2>&1 | head -n 1) || true
  refuse WG_IPTABLES "$WG_IPTABLES" "iptables-$backend does not work on this kernel ($complaint); load its modules on the host, or choose another backend"
}
