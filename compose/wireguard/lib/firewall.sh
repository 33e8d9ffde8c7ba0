# shellcheck shell=bash disable=SC2034,SC2154 # the parts share their variables
# The rules. Only the gateway's own are ever touched, one by one: Docker keeps the rules of its name
# server in the same nat table. All of them are up before wg0 exists, and go after it has gone.

own_rules=() # "TABLE CHAIN SPECIFICATION", in the order in which they were added
no_rules_yet=false
forward_policy='' # what the FORWARD policy was before

# The image has links from /usr/local/sbin to these.
point_iptables_at_backend() {
  local name
  mkdir -p /run/gateway/bin
  for name in iptables iptables-save iptables-restore; do
    ln -sfn "/usr/sbin/xtables-$iptables_backend-multi" "/run/gateway/bin/$name"
  done
  echo "$iptables_backend" >/run/gateway/iptables
}

# add_rule TABLE CHAIN SPECIFICATION...: its undoing is noted before it is made.
add_rule() {
  local table=$1 chain=$2
  shift 2
  own_rules+=("$table $chain $*")
  if [[ $no_rules_yet == false ]] && iptables -w -t "$table" -C "$chain" "$@" 2>/dev/null; then return; fi
  run iptables -w -t "$table" -A "$chain" "$@"
}

raise_firewall() {
  local policy
  point_iptables_at_backend

  # In a fresh namespace there is nothing to compare each rule with, which halves the time this takes.
  [[ $(iptables-save) == *wg0* ]] || no_rules_yet=true
  policy=$(iptables -w -S FORWARD)
  [[ $policy == '-P FORWARD ACCEPT'* ]] && forward_policy=ACCEPT
  run iptables -w -P FORWARD DROP

  # For the gateway itself the tunnel may ask whether it is alive, and nothing else. A refusal is
  # said aloud, so that who dials an undeclared port learns it at once.
  add_rule filter INPUT -i wg0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
  add_rule filter INPUT -i wg0 -p icmp --icmp-type echo-request -j ACCEPT
  add_rule filter INPUT -i wg0 -p tcp -j REJECT --reject-with tcp-reset
  add_rule filter INPUT -i wg0 -j REJECT --reject-with icmp-port-unreachable

  if ((${#forward_port[@]})); then raise_forwards; fi
  no_rules_yet=false
}

raise_forwards() {
  local index
  add_rule mangle FORWARD -i wg0 -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
  add_rule mangle FORWARD -o wg0 -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
  add_rule filter FORWARD -o wg0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
  for index in "${!forward_port[@]}"; do
    add_forward "$index"
  done
}

add_forward() {
  local port=${forward_port[$1]} protocol=${forward_protocol[$1]}
  local destination=${forward_destination[$1]} interface=${forward_interface[$1]}
  add_rule nat PREROUTING -i wg0 -p "$protocol" --dport "$port" -j DNAT --to-destination "$destination:$port"
  add_rule nat POSTROUTING -o "$interface" -p "$protocol" -d "$destination" --dport "$port" -j MASQUERADE
  # Being DNATed proves that it came in on wg0 for a declared port, and not by a crafted route.
  add_rule filter FORWARD -i wg0 -o "$interface" -p "$protocol" -d "$destination" --dport "$port" -m conntrack --ctstate DNAT -j ACCEPT
}

# A network that is detached and attached again comes back under another name (eth0 as eth9). The
# two rules that name the interface follow it, but only as far as the same network: while that is
# detached, the default route would lead to somebody else.
follow_routes() {
  local index interface
  [[ -z $WG_FORWARD_INTERFACE ]] || return 0
  for index in "${!forward_port[@]}"; do
    interface=${forward_interface[index]}
    route_to "${forward_destination[index]}" || continue
    [[ $REPLY != "$interface" && $REPLY != wg0 && $next_hop == "${forward_next_hop[index]}" ]] || continue
    say "the route to ${forward_destination[index]} leaves by $REPLY now, no longer by $interface"
    remove_rules_naming "$interface" "${forward_destination[index]} --dport ${forward_port[index]} "
    forward_interface[index]=$REPLY
    add_forward "$index"
  done
}

# remove_rules_naming INTERFACE DESTINATION: the rules for the destination that leave by the interface.
remove_rules_naming() {
  local rule kept=()
  for rule in "${own_rules[@]}"; do
    if [[ $rule == *"-o $1 "*"$2"* ]]; then
      remove_rule "$rule"
    else
      kept+=("$rule")
    fi
  done
  own_rules=("${kept[@]}")
}

remove_rule() {
  local table chain specification
  read -r table chain specification <<<"$1"
  # shellcheck disable=SC2086 # no word of a rule contains a space
  undo iptables -w -t "$table" -D "$chain" $specification
}

lower_firewall() {
  local index
  for ((index = ${#own_rules[@]} - 1; index >= 0; index--)); do
    remove_rule "${own_rules[index]}"
  done
  [[ -z $forward_policy ]] || undo iptables -w -P FORWARD "$forward_policy"
}
