#!/usr/bin/python
"""Ansible module: the steps of a rotation of keys on one server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_switch_keys
short_description: Switch one end of the running tunnel to new keys, then make that permanent or take it back
options:
  budget:
    description: Seconds within which there has to be a handshake under the new keys.
    type: float
    default: 5
  change:
    description: A name for this run, the same on both servers.
    type: str
    required: true
  directory:
    description: Where the site lives.
    type: path
    required: true
  profiles:
    description: The profiles that run here, where no deployment has written them down.
    type: list
    elements: str
    required: true
  side:
    description: Which end of the tunnel this server is.
    type: str
    choices: [web, services]
    required: true
  step:
    description:
      - V(switch) gives the running interface the keys, and takes them back by itself where no handshake follows.
      - V(keep) writes them into the files, V(put_back) has the interface follow the files again.
    type: str
    choices: [switch, keep, put_back]
    required: true
  untouched:
    description: With V(put_back), whether the interface had the new keys before, so that there is nothing to take back.
    type: bool
    default: false
  private_key:
    description: This end's private key.
    type: str
    required: true
  public_key:
    description: This end's public key.
    type: str
    required: true
  peer_public_key:
    description: The other end's public key.
    type: str
    required: true
  preshared_key:
    description: The preshared key.
    type: str
    required: true
author: the project
"""

RETURN = r"""
switched:
  description: With V(switch), whether the interface has the new keys and there was a handshake.
  type: bool
  returned: with step=switch
untouched:
  description: With V(switch), whether the interface had the keys before, from a rotation that was cut off.
  type: bool
  returned: with step=switch
reason:
  description: Why not.
  type: str
  returned: with step=switch
seconds:
  description: From the switch until the handshake, on the web side until a fresh connection went through.
  type: float
  returned: with step=switch
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.site_docker import Docker, SiteError
from ansible.module_utils.site_files import SiteFiles, alone
from ansible.module_utils.site_gateway import ARGUMENTS, Keys, interface, interface_problems, keys_of
from ansible.module_utils.site_state import renewed
from ansible.module_utils.site_switch import has, put_back, switch


def keep(docker: Docker, site: SiteFiles, keys: Keys, change: str) -> bool:
    """Write the keys where a restarted gateway reads them, in place: its mounts follow a file, not a name."""
    running = interface(docker, keys.side)
    if running is None or interface_problems(running, keys):
        raise SiteError("the interface lost the new keys before they were written; run this again, or deploy.yml")
    changed = site.differing(keys.files())
    # The keys apart, some of which a run that was cut off may have written. Where other files differ a deployment is
    # unfinished, and the record is for it to write.
    is_deployed = site.is_applied(besides=[file.path for file in keys.files()])
    services = docker.services() if is_deployed else {}  # asked while nothing is written: it may fail
    if changed:
        site.keep_previous(change)
    for file in changed:
        site.overwrite(file)
    if is_deployed and not site.is_applied():
        site.write_applied(renewed(site, services, time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())))
        return True
    return bool(changed)


def try_switch(docker: Docker, site: SiteFiles, keys: Keys, budget: float) -> dict[str, object]:
    """Switch; where no handshake follows, have the interface follow the files again at once, unless it had the keys."""
    untouched = has(docker, keys)
    try:
        seconds = switch(docker, keys, budget, has_keys=untouched)
    except SiteError as error:
        if not untouched:
            put_back(docker, site, keys.side)
        return {"switched": False, "reason": str(error), "untouched": untouched, "changed": False}
    return {"switched": True, "seconds": seconds, "untouched": untouched, "changed": True}


def perform(module: AnsibleModule) -> dict[str, object]:
    """Take one step."""
    wanted = module.params
    site = SiteFiles(wanted["directory"])
    if wanted["step"] == "keep":
        # What runs goes by the last deployment, whatever the inventory has been given since.
        ran = Docker(module, wanted["directory"], site.applied().get("profiles") or wanted["profiles"])
        return {"changed": keep(ran, site, keys_of(module), wanted["change"])}
    docker = Docker(module, wanted["directory"], wanted["profiles"])
    if wanted["step"] == "switch":
        return try_switch(docker, site, keys_of(module), wanted["budget"])
    return {"changed": not wanted["untouched"] and put_back(docker, site, wanted["side"])}


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "budget": {"type": "float", "default": 5.0},
            "change": {"type": "str", "required": True},
            "profiles": {"type": "list", "elements": "str", "required": True},
            "untouched": {"type": "bool", "default": False},
            "step": {"type": "str", "choices": ["switch", "keep", "put_back"], "required": True},
        },
    )
    try:
        with alone():
            result = perform(module)
    except SiteError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"{error.filename}: {error.strerror}; the interface has the new keys, the files not all: run this again"
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
