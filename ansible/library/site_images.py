#!/usr/bin/python
"""Ansible module: bring a server the images that it lacks."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_images
short_description: Load a server's missing images from an archive, or pull all of them
options:
  archive:
    description: A file of C(docker save) on the server. Without it the images are pulled.
    type: path
  images:
    description: The images that have to be here afterwards.
    type: list
    elements: str
    required: true
author: the project
"""

RETURN = r"""
images:
  description: The images that are new or have changed.
  type: list
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.site_docker import Docker, SiteError


def bring(docker: Docker, archive: str | None, images: list[str]) -> None:
    """SiteError unless all images are there afterwards."""
    if archive:
        docker.output("load", "--quiet", "--input", archive)
    else:
        for image in images:
            docker.output("pull", "--quiet", image)
    missing = [image for image in images if docker.image_id(image) is None]
    if missing:
        raise SiteError("images_archive does not hold " + ", ".join(missing) + ": make it anew with docker save")


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "archive": {"type": "path"},
            "images": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    docker = Docker(module, "/", [])
    images = module.params["images"]
    before = {image: docker.image_id(image) for image in images}
    if module.check_mode:
        module.exit_json(changed=None in before.values(), images=[image for image in images if before[image] is None])
    try:
        bring(docker, module.params["archive"], images)
    except SiteError as error:
        module.fail_json(msg=str(error))
    new = [image for image in images if docker.image_id(image) != before[image]]
    module.exit_json(changed=bool(new), images=new)


if __name__ == "__main__":
    main()
