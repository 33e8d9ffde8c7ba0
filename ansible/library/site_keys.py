#!/usr/bin/python
"""Ansible module: compare the vault's WireGuard keys with a server's files and its running interface."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_keys
short_description: Compare WireGuard's keys with the files and the interface of a server; changes nothing
options:
  directory:
    description: Where the site lives.
    type: path
    required: true
  side:
    description: Which end of the tunnel this server is.
    type: str
    choices: [web, services]
    required: true
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
deployed:
  description: Whether key files are here.
  type: bool
  returned: always
running:
  description: Whether the gateway runs.
  type: bool
  returned: always
problems:
  description: A sentence for each mismatch, without a key in it.
  type: list
  returned: always
handshake_age:
  description: Seconds since the last handshake with whatever peer; null without one.
  type: float
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.site_docker import Docker, SiteError
from ansible.module_utils.site_files import SiteFiles
from ansible.module_utils.site_gateway import ARGUMENTS, file_problems, gateway, interface, interface_problems, keys_of


def look(module: AnsibleModule) -> dict[str, object]:
    """Compare."""
    site = SiteFiles(module.params["directory"])
    keys = keys_of(module)
    if not any(site.read(file.path) for file in keys.files()):
        return {"deployed": False, "running": False, "problems": [], "handshake_age": None}
    files = file_problems(site, keys)
    running = None
    live: list[str] = []
    try:
        running = interface(Docker(module, module.params["directory"], []), module.params["side"])
        live = interface_problems(running, keys) if running else [gateway(module.params["side"]) + " does not run."]
    except SiteError as error:
        live = [str(error) + "."]
    ages = [running.handshake_age(peer) for peer in running.peers] if running else []
    return {
        "deployed": True,
        "running": running is not None,
        "files_problems": files,
        "interface_problems": live,
        "problems": files + live,
        "handshake_age": min((age for age in ages if age is not None), default=None),
    }


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        module.exit_json(changed=False, **look(module))
    except SiteError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
