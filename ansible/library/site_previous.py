#!/usr/bin/python
"""Ansible module: what a server could go back to."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_previous
short_description: Say what was applied on this server before its last change
options:
  directory:
    description: Where the site lives.
    type: path
    required: true
author: the project
"""

RETURN = r"""
changed_by:
  description: The name of the run that made the last change; empty where there is nothing to go back to.
  type: str
  returned: always
applied_at:
  description: When the previous state was applied.
  type: str
  returned: always
profiles:
  description: The profiles that ran then; empty where that was not written down.
  type: list
  returned: always
replaced_images:
  description: Images whose name means another image by now.
  type: list
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.site_docker import Docker, SiteError
from ansible.module_utils.site_files import SiteFiles


def look(module: AnsibleModule) -> dict[str, object]:
    """Read the manifest; SiteError where what it needs is gone."""
    site = SiteFiles(module.params["directory"])
    docker = Docker(module, module.params["directory"], [])
    manifest = site.manifest()
    if not manifest:
        return {"changed_by": "", "applied_at": "", "profiles": [], "replaced_images": []}
    site.previous_files()  # complains where one is missing
    now = {image: docker.image_id(image) for image in manifest.get("images", {})}
    missing = sorted(image for image, found in now.items() if found is None)
    if missing:
        raise SiteError(
            "cannot go back, since these images are gone from here: " + ", ".join(missing) + ". Load them first"
        )
    return {
        "changed_by": manifest["changed_by"],
        "applied_at": manifest["applied_at"],
        "profiles": manifest.get("profiles", []),
        "replaced_images": sorted(image for image, found in now.items() if found != manifest["images"][image]),
    }


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec={"directory": {"type": "path", "required": True}}, supports_check_mode=True)
    try:
        module.exit_json(changed=False, **look(module))
    except SiteError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
