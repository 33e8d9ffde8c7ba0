#!/usr/bin/python
"""Ansible module: look at a server before anything is changed there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_survey
short_description: Look at a server before the site is deployed on it
description:
  - Fails with one sentence where the server cannot take the profile. Changes nothing.
options:
  docker_comes:
    description: Docker is going to be installed where it is missing. That is no failure then, and ends the look.
    type: bool
    default: false
  foreign_services:
    description: Services of the other profile; where one of their containers is here, the server is refused.
    type: list
    elements: str
    required: true
  images:
    description: The images that the profile needs.
    type: list
    elements: str
    required: true
  images_from:
    description: Where images come from. With V(server) they have to be here already.
    type: str
    choices: [server, registry, archive]
    required: true
  profile:
    description: The profile that is to be started here.
    type: str
    required: true
author: the project
"""

RETURN = r"""
docker_missing:
  description: Whether Docker has yet to come, so that no more could be seen.
  type: bool
  returned: always
missing_images:
  description: Those of the images that are not here.
  type: list
  returned: always
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.site_docker import Docker, SiteError


def refuse_unless_root() -> None:
    """SiteError where this is not root."""
    if os.geteuid() != 0:
        raise SiteError("root is needed here: set ansible_user: root, or ansible_become: true, in the inventory")


def refuse_unless_fit(docker: Docker, profile: str, foreign: list[str]) -> None:
    """SiteError where this is not a server for the profile."""
    docker.check()
    found = sorted(service for service in docker.containers() if service in foreign)
    if found:
        raise SiteError(
            "this server already has containers of the other profile (" + ", ".join(found) + "), so profile " + profile
            + " does not belong here: correct the addresses in the inventory, or, if the server is to change its part, "
            "first take the other down there: docker rm -f " + " ".join(found)
        )  # fmt: skip


def survey(docker: Docker, options: dict) -> dict:
    """What is here, for a profile that is to come; SiteError where it cannot."""
    refuse_unless_root()
    if options["docker_comes"] and not docker.is_installed():
        return {"missing_images": [], "docker_missing": True}
    refuse_unless_fit(docker, options["profile"], options["foreign_services"])
    missing = [image for image in options["images"] if docker.image_id(image) is None]
    if missing and options["images_from"] == "server":
        raise SiteError(
            "images are missing here: " + ", ".join(missing) + ". Load them (docker load), or set images_from to "
            "registry, or to archive with images_archive"
        )
    return {"missing_images": missing, "docker_missing": False}


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "docker_comes": {"type": "bool", "default": False},
            "foreign_services": {"type": "list", "elements": "str", "required": True},
            "images": {"type": "list", "elements": "str", "required": True},
            "images_from": {"type": "str", "choices": ["server", "registry", "archive"], "required": True},
            "profile": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        found = survey(Docker(module, "/", []), module.params)
    except SiteError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
