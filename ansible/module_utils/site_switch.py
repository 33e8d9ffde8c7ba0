"""One end of a running tunnel, given other keys while traffic goes on.

The keys go in by standard input and by pipes inside the gateway: no command line and no file has them on the way.
"""

from __future__ import annotations

from ansible.module_utils.site_docker import Docker, SiteError, last_line
from ansible.module_utils.site_files import SiteFiles
from ansible.module_utils.site_gateway import Keys, gateway, interface, interface_problems

# Both ends are told within about a tenth of a second of one another, not at once. So the end that has an endpoint asks
# again until the other knows it: a peer that is added anew shakes hands at once, one that got no answer after 5 s.
# Every 0.15 s at first; from 2 s on every second, which is enough for the slowest way there and back.
_SCRIPT = r"""
set -euo pipefail
now() { REPLY=$((${EPOCHREALTIME/[.,]/} / 1000)); }
shaken() { wg show wg0 latest-handshakes | grep -F "$peer" | grep -qvP '\t0$'; }
passes() { [[ -z $endpoint ]] || timeout 1 bash -c ": <>/dev/tcp/${WG_PEER_ALLOWED_IPS%%/*}/6379" 2>/dev/null; }
add() {
  local settings=(allowed-ips "${WG_PEER_ALLOWED_IPS// /,}" persistent-keepalive "$keepalive")
  [[ -z $endpoint ]] || settings+=(endpoint "$endpoint")
  wg set wg0 private-key <(printf '%s\n' "$private") "$@" \
    peer "$peer" preshared-key <(printf '%s\n' "$preshared") "${settings[@]}"
}

endpoint='' keepalive=${WG_PERSISTENT_KEEPALIVE:-0} removals=()
while read -r known _ found _; do
  removals+=(peer "$known" remove)
  [[ -z ${WG_PEER_ENDPOINT-} ]] || endpoint=${found/'(none)'/$WG_PEER_ENDPOINT}
done < <(wg show wg0 dump | tail -n +2)
[[ -z ${WG_PEER_ENDPOINT-} || -n $endpoint ]] || endpoint=$WG_PEER_ENDPOINT
((keepalive)) || [[ -z $endpoint ]] || keepalive=25

now; started=$REPLY added=$REPLY
# Who waits to be asked and has the keys already, from a rotation that was cut off, keeps its peer: the other end may
# have shaken hands with it by now, and would have no reason to ask again.
[[ -n $has_keys && -z $endpoint ]] || add "${removals[@]}"
until shaken && passes; do
  now
  if ((REPLY - started >= budget)); then exit 75; fi
  if [[ -n $endpoint ]] && ! shaken && ((REPLY - added >= (REPLY - started < 2000 ? 150 : 1000))); then
    add peer "$peer" remove
    now; added=$REPLY
  fi
  sleep 0.02
done
now
echo "$((REPLY - started))"
"""

NO_ANSWER = 75


def switch(docker: Docker, keys: Keys, budget: float, *, has_keys: bool) -> float:
    """Give the running interface these keys; how many seconds it took until the new handshake.

    `has_keys` says whether it has them already, from a rotation that was cut off.
    On the web side a fresh connection has gone through as well. SiteError where the budget, seconds, was not enough.
    """
    values = {
        "private": keys.private,
        "peer": keys.peer_public,
        "preshared": keys.preshared,
        "budget": str(int(budget * 1000)),
        "has_keys": "yes" if has_keys else "",
    }
    assignments = "".join(name + "='" + value + "'\n" for name, value in values.items())
    status, output, errors = docker.run(
        "exec", "--interactive", gateway(keys.side), "bash", "-s", data=assignments + _SCRIPT
    )
    if status == NO_ANSWER:
        raise SiteError(f"no handshake and traffic under the new keys within {budget:g} s")
    if status:
        raise SiteError("the running interface did not take the keys: " + last_line(errors))
    return int(output) / 1000


def has(docker: Docker, keys: Keys) -> bool:
    """Whether the running interface has these keys, and no other peer."""
    running = interface(docker, keys.side)
    return running is not None and not interface_problems(running, keys)


def keys_of_files(site: SiteFiles, side: str) -> Keys:
    """The keys that the files here hold: until a rotation is made permanent, the old ones."""
    blank = Keys(side, "", "", "", "")
    return Keys(side, *((site.read(file.path) or b"").decode("ascii", "replace") for file in blank.files()))


def put_back(docker: Docker, site: SiteFiles, side: str) -> bool:
    """Have the running interface follow the files again, with or without the peer; whether it had to be changed."""
    old = keys_of_files(site, side)
    if has(docker, old):
        return False
    try:
        switch(docker, old, 3, has_keys=False)
    except SiteError:
        running = interface(docker, side)
        if running is None or running.public != old.public:
            raise
    return True
