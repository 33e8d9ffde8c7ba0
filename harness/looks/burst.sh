# shellcheck shell=bash
# Datagrams into the tunnel: burst.sh ADDRESS SIZE COUNT, where SIZE is `small` or `large` (as wg0's MTU allows). What
# wg0 has counted is printed before them, then two dashes and how many bytes they are at least, then what wg0 has
# counted afterwards.
# Port 9 (discard) is never declared, so they end at the other gateway. They go out in small groups: all at once they
# would overflow a queue and count as lost. The small ones are no smaller because only bytes are counted: a hundred of
# them outweigh what applications may send meanwhile, and every underlay carries each in one piece (576, RFC 791).
address=$1 count=$3
counted() { timeout 1 wg show wg0 transfer || exit; }

size=480
if [[ $2 == large ]]; then size=$(($(</sys/class/net/wg0/mtu) - 28)); fi # IPv4 and UDP headers
printf -v datagram '%0*d' "$size" 0
counted
exec 3<>"/dev/udp/$address/9" 4<> <(:)
for ((sent = 1; sent <= count; sent++)); do
  # A refusal that has come in is reported by the next write, which then sends nothing.
  printf %s "$datagram" >&3 || true
  ((sent % 10)) || read -r -t 0.004 -u 4 || true
done 2>/dev/null
echo "-- $((count * (size + 28 + 32)))" # and WireGuard's own header and tag (paper, 5.4.6)
counted
