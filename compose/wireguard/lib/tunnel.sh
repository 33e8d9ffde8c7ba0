# shellcheck shell=bash disable=SC2034,SC2154 # the parts share their variables
# wg0: made, given its peer, watched, and made again in place when it is lost.

wireguard_go_pid=''
kernel_events_pid=''
awaiting_handshake=false

# Traffic for the tunnel finds the tunnel or nothing. The route is there before wg0 and stays after
# it, also when the gateway stops: with wg0 down or gone, it fails at once and leaves by no other way.
fail_closed() {
  run ip route replace blackhole "$tunnel_subnet" metric 9999
}

tunnel_is_there() {
  [[ -e /sys/class/net/wg0 ]]
}

# A gateway that was killed in a namespace that lives on leaves its wg0 behind. Anybody else's stays.
remove_leftover() {
  tunnel_is_there || return 0
  [[ $(wg show wg0 public-key 2>/dev/null) == "$own_public_key" ]] ||
    die "$EX_CONFIG" "there is a wg0 already and it is not this gateway's; remove it, or run the gateway in a network namespace of its own"
  run ip link delete wg0
}

build_tunnel() {
  if [[ $implementation == kernel ]]; then
    run ip link add wg0 type wireguard
  else
    start_wireguard_go
  fi
  run wg set wg0 listen-port "$WG_LISTEN_PORT" private-key "$WG_PRIVATE_KEY_FILE"
  run ip address add "$WG_ADDRESS" dev wg0
  run ip link set wg0 mtu "$WG_MTU" up

  # From here on packets flow. The side without an endpoint only answers.
  if [[ -z $WG_PEER_ENDPOINT ]]; then
    run wg set wg0 peer "${peer_settings[@]}"
    say "ready on UDP port $WG_LISTEN_PORT, waiting for $peer_public_key to shake hands"
  else
    seek_handshake
  fi
}

# Whoever runs `wg` while wireguard-go is making its control socket takes the socket away: one that does
# not listen yet looks like one that was left behind. wireguard-go ends by that, once in some thousand
# starts, be it a health check that looked, an exporter or a person; the next start is seldom met again.
# So the gateway itself asks nothing of wg0 before the socket listens.
start_wireguard_go() {
  local starts_left=3
  say 'starting wireguard-go'
  until launch_wireguard_go; do
    ((--starts_left)) || die 1 "wireguard-go ended before it had made wg0 (exit status $REPLY)"
    say "wireguard-go ended before it had made wg0 (exit status $REPLY); starting it again"
  done
}

# Fails, with the exit status in REPLY, where wireguard-go ends before wg0 is there and can be set.
launch_wireguard_go() {
  local waited_ms=0 budget_ms=5000 step_ms=10
  rm -f /run/wireguard/wg0.sock
  # Without this it says at length that the kernel could do better.
  WG_PROCESS_FOREGROUND=1 wireguard-go wg0 &
  wireguard_go_pid=$!
  until tunnel_is_there && control_socket_listens && [[ -S /run/wireguard/wg0.sock ]]; do
    if ! kill -0 "$wireguard_go_pid" 2>/dev/null; then
      end_wireguard_go
      return 1
    fi
    ((waited_ms < budget_ms)) ||
      die 1 "wireguard-go has been given $((budget_ms / 1000)) s and is still running, but $(missing_of_wireguard_go)"
    sleep 0.01
    ((waited_ms += step_ms))
  done
}

missing_of_wireguard_go() {
  if tunnel_is_there; then echo 'its control socket /run/wireguard/wg0.sock does not listen'; else echo 'wg0 is missing'; fi
}

# Once it listens `wg` does not take it away; that it is there has to be looked at after that, not before.
# The flag is the kernel's __SO_ACCEPTCON, in the fourth column of /proc/net/unix (proc_pid_net(5)).
control_socket_listens() {
  grep --quiet --extended-regexp '^([^ ]+ +){3}00010000 .*/run/wireguard/wg0\.sock$' /proc/net/unix
}

# Its exit status is left in REPLY; a wg0 that it still has goes with it.
end_wireguard_go() {
  kill "$wireguard_go_pid" 2>/dev/null || true
  REPLY=0
  wait "$wireguard_go_pid" 2>/dev/null || REPLY=$?
  wireguard_go_pid=''
}

remove_tunnel() {
  # Down comes first: from then on nothing passes, whatever becomes of the rules.
  if tunnel_is_there; then undo ip link set wg0 down; fi
  if [[ -n $wireguard_go_pid ]]; then end_wireguard_go; fi
  if tunnel_is_there; then undo ip link delete wg0; fi
}

# --- the first handshake, sought by the side that has an endpoint --------------------------------
#
# WireGuard repeats a handshake that found nobody only after 5 s. A peer that is added anew shakes
# hands at once, so until the first answer it is: after 0.25 s, 0.5 s and then every second.

describe_peer() {
  # A keepalive is what makes the new peer send its first packet, so also a peer that is to have none
  # gets one, until it has shaken hands.
  local keepalive=$WG_PERSISTENT_KEEPALIVE
  ((keepalive)) || keepalive=1
  peer_settings=("$peer_public_key" allowed-ips "$peer_allowed_ips")
  [[ -z $WG_PRESHARED_KEY_FILE ]] || peer_settings+=(preshared-key "$WG_PRESHARED_KEY_FILE")
  if [[ -n $WG_PEER_ENDPOINT ]]; then
    peer_settings+=(endpoint "$WG_PEER_ENDPOINT" persistent-keepalive "$keepalive")
  elif ((WG_PERSISTENT_KEEPALIVE)); then
    peer_settings+=(persistent-keepalive "$WG_PERSISTENT_KEEPALIVE")
  fi
}

now_ms() {
  REPLY=$((${EPOCHREALTIME/[.,]/} / 1000))
}

seek_handshake() {
  awaiting_handshake=true
  now_ms
  sought_since=$REPLY
  add_again_after=250
  report_after=2000
  printf '[#] wg set wg0 peer %s\n' "${peer_settings[*]}"
  add_peer
}

# add_peer WORDS: after these words of `wg set`, in one step with them: at no time does wg0 look as if it had no peer.
# The name in an endpoint may not resolve before the other side is there: said once, then tried again.
add_peer() {
  local answer
  now_ms
  added_at=$REPLY
  # In the background, because looking up a name can take long and a signal is heard while waiting.
  WG_ENDPOINT_RESOLUTION_RETRIES=0 wg set wg0 "$@" peer "${peer_settings[@]}" 2>/run/gateway/answer &
  wait $! && return
  tunnel_is_there || return 0
  answer=$(</run/gateway/answer)
  [[ $answer == "${last_complaint-}" ]] || say "the peer cannot be added yet: $answer"
  last_complaint=$answer
}

look_for_handshake() {
  local key seconds elapsed others=() is_there=false
  while read -r key seconds; do
    if [[ $key != "$peer_public_key" ]]; then
      others+=("$key")
    else
      is_there=true
      ((seconds == 0)) || awaiting_handshake=false
    fi
  done < <(wg show wg0 latest-handshakes 2>/dev/null)
  if [[ $is_there == false ]] && ((${#others[@]})); then
    # To add the one of the start would take its address from the new one.
    say "the peer is ${others[*]} now, and no longer $peer_public_key: somebody has exchanged it, and it is left alone"
    awaiting_handshake=false
    return
  fi
  now_ms
  elapsed=$((REPLY - sought_since))

  if [[ $awaiting_handshake == false ]]; then
    say "handshake with $peer_public_key after $((elapsed / 1000)).$((elapsed % 1000 / 100)) s"
    ((WG_PERSISTENT_KEEPALIVE)) || run wg set wg0 peer "$peer_public_key" persistent-keepalive 0
  elif ((REPLY - added_at >= add_again_after)); then
    if ((elapsed >= report_after)); then
      say "no handshake with $peer_public_key at $WG_PEER_ENDPOINT after $((elapsed / 1000)) s; removing and adding the peer every second until there is one"
      ((report_after *= 2))
    fi
    ((add_again_after = add_again_after < 1000 ? add_again_after * 2 : 1000))
    add_peer peer "$peer_public_key" remove
  fi
}

# --- afterwards ----------------------------------------------------------------------------------

# The kernel tells of every link and route that comes or goes; asking again and again is not needed.
watch_kernel() {
  exec {kernel_events}< <(exec ip -oneline monitor link route)
  kernel_events_pid=$!
}

# wait_for_event: until the kernel tells of a change and has fallen silent again, or, while a
# handshake is awaited, for a tenth of a second.
wait_for_event() {
  local event status=0 patience=() more=100
  [[ $awaiting_handshake == false ]] || patience=(-t 0.1)
  read -r "${patience[@]}" -u "$kernel_events" event || status=$?
  if ((status == 0)); then
    while ((more--)) && read -r -t 0.02 -u "$kernel_events" event; do :; done
  elif ((status == 1)); then
    say 'ip monitor ended; starting it again'
    exec {kernel_events}<&-
    sleep 1
    watch_kernel
  fi
}

# Ending here would be the worst answer to a lost wg0: the container would come back in a new network
# namespace, and the application that shares this one would be left behind in it.
rebuild_tunnel() {
  if ((SECONDS - ${last_rebuild:--60} < 2)); then ((++rebuilds_in_a_row)); else rebuilds_in_a_row=1; fi
  last_rebuild=$SECONDS
  ((rebuilds_in_a_row <= 5)) || die 1 "wg0 was lost again within seconds, for the ${rebuilds_in_a_row}th time; giving up"
  if [[ -n $wireguard_go_pid ]]; then
    end_wireguard_go
    say "wg0 is gone, wireguard-go with it (exit status $REPLY); building it again"
  else
    say 'wg0 is gone; building it again'
  fi
  # The keys may have been rotated since the start: the files have those of today.
  read_keys
  describe_peer
  fail_closed
  build_tunnel
}

# An interface that was only set down was set down by somebody, and stays so.
supervise() {
  while true; do
    if ! tunnel_is_there; then
      rebuild_tunnel
    elif [[ $awaiting_handshake == true ]]; then
      look_for_handshake
    fi
    wait_for_event
    follow_routes
  done
}
