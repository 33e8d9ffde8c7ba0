#!/usr/bin/python
"""Ansible module: have exactly the installed files running, touching nothing that does already."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_up
short_description: Start or make anew what differs from the installed files, and wait until it is well
options:
  budget:
    description: Seconds within which all containers have to be well.
    type: float
    required: true
  changed_files:
    description: In check mode, files that were not really installed; what uses them counts as to be made anew.
    type: list
    elements: str
    default: []
  directory:
    description: Where the site lives.
    type: path
    required: true
  files:
    description: The site's files, below the directory. After a rollback, those of the manifest.
    type: list
    elements: str
    default: []
  profiles:
    description: The profiles to start.
    type: list
    elements: str
    required: true
  rolled_back:
    description: Whether this ends a rollback, after which there is no previous state any more.
    type: bool
    default: false
  without_health:
    description: Services for which it is enough to run, because what they wait for is on another server.
    type: list
    elements: str
    default: []
author: the project
"""

RETURN = r"""
services:
  description: The services that were started or made anew, each with the reason.
  type: dict
  returned: always
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.site_docker import COMPOSE_FILE, Docker, SiteError, last_line
from ansible.module_utils.site_files import SiteFiles, alone
from ansible.module_utils.site_state import await_ready, describe, reasons, record

# Compose sees these for itself; the others are those that it would leave as they are.
SEEN_BY_COMPOSE = ("missing", "configuration", "image", "stopped")


def predict(docker: Docker, site: SiteFiles, changed: list[str]) -> dict[str, str]:
    """What a real run would do, from what is installed and what would be."""
    if site.read(COMPOSE_FILE) is None:
        return {"all": "missing"}
    found = reasons(docker, site)
    paths = {site.absolute(path) for path in changed}
    for name, service in docker.services().items():
        if paths & set(service["used_files"]):
            found.setdefault(name, "files")
    if {COMPOSE_FILE, ".env"} & set(changed):
        found.setdefault("whatever differs", "configuration")
    return found


def start(docker: Docker, found: dict[str, str]) -> None:
    """Let Compose make it so. SiteError with the reason where it cannot."""
    if docker.half_made:
        docker.output("rm", "--force", *docker.half_made)
    by_force = [name for name, reason in found.items() if reason not in SEEN_BY_COMPOSE]
    quietly = ("--detach", "--no-build", "--pull", "never")
    if by_force:
        # All in one: what follows another cannot be made before it, and Compose keeps to the order.
        by_force += [name for name in found if name not in by_force]
        status, output, errors = docker.compose("up", *quietly, "--no-deps", "--force-recreate", *by_force)
        if status:
            raise SiteError("Compose could not make " + ", ".join(by_force) + " anew: " + last_line(errors or output))
    status, output, errors = docker.compose("up", *quietly, "--remove-orphans")
    if status:
        raise SiteError("Compose could not start the site: " + last_line(errors or output))


def explain(docker: Docker, waiting: dict[str, str]) -> str:
    """A sentence for each service that is not well."""
    return " ".join(describe(docker, name, state) + "." for name, state in sorted(waiting.items()))


def perform(module: AnsibleModule) -> dict[str, object]:
    """Compare, start, wait, remember."""
    wanted = module.params
    site = SiteFiles(wanted["directory"])
    docker = Docker(module, wanted["directory"], wanted["profiles"])
    if module.check_mode:
        found = predict(docker, site, wanted["changed_files"])
        return {"changed": bool(found), "services": found}
    files = wanted["files"] or list(site.manifest().get("files", {}))
    found = reasons(docker, site)
    started = time.monotonic()
    failure = None
    if found:
        try:
            start(docker, found)
        except SiteError as error:
            failure = str(error)
    left = 0 if failure else wanted["budget"] - (time.monotonic() - started)
    waiting = await_ready(docker, wanted["without_health"], left)
    if waiting or failure:
        words = [failure] if failure else [f"not well within {wanted['budget']:.0f} s."]
        words.append(explain(docker, waiting))
        words.append("Put it right and deploy again, or go back: playbooks/rollback.yml.")
        raise SiteError(" ".join(word for word in words if word))
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    made = record(docker, now, site, files)
    # A profile that is switched off starts nothing, and is a success of its own all the same.
    if made != site.applied() | {"applied_at": now}:
        site.write_applied(made)
    if wanted["rolled_back"]:
        site.forget_previous()
    return {"changed": bool(found), "services": found}


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "budget": {"type": "float", "required": True},
            "changed_files": {"type": "list", "elements": "str", "default": []},
            "directory": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "str", "default": []},
            "profiles": {"type": "list", "elements": "str", "required": True},
            "rolled_back": {"type": "bool", "default": False},
            "without_health": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        with alone():
            result = perform(module)
    except SiteError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
