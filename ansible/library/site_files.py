#!/usr/bin/python
"""Ansible module: install all of the site's files on a server, or put the previous ones back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_files
short_description: Install the site's files, keeping what was applied before
description:
  - All files in one call, so that a server has the whole set, and each file by a rename.
  - What was applied before goes to C(previous/); after a failed change it stays what it was.
options:
  boot_unit:
    description: Text of the systemd unit that starts the site in order after a boot.
    type: str
  change:
    description: A name for this run, the same on all servers, by which rollback finds the last change.
    type: str
    required: true
  directory:
    description: Where the site lives.
    type: path
    required: true
  files:
    description: Files that are no secrets, with O(files.path), O(files.content), O(files.mode).
    type: list
    elements: dict
    default: []
    suboptions:
      path: {type: str, required: true, description: Below the directory.}
      content: {type: str, required: true, description: The whole content.}
      mode: {type: str, required: true, description: Permission bits in octal.}
  secrets:
    description: Files whose content is never shown.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {type: str, required: true, description: Below the directory.}
      content: {type: str, required: true, description: The whole content.}
      mode: {type: str, required: true, description: Permission bits in octal.}
      owner: {type: int, default: 0, description: The owner's uid.}
  state:
    description: V(previous) puts back what was applied before the last change, and takes neither files nor secrets.
    type: str
    choices: [present, previous]
    default: present
author: the project
"""

RETURN = r"""
files:
  description: Paths of the files that are new, changed or removed.
  type: list
  returned: always
went_back_to:
  description: When the state that was put back had been applied.
  type: str
  returned: with state=previous
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.site_docker import SiteError
from ansible.module_utils.site_files import File, SiteFiles, alone

UNIT = "/etc/systemd/system/wireguard-site.service"
WANTED_BY_DOCKER = "/etc/systemd/system/docker.service.wants/wireguard-site.service"


def wanted_files(module: AnsibleModule) -> list[File]:
    """The files as they are to be; every text ends with a line's end."""
    files = []
    for entry in module.params["files"] + module.params["secrets"]:
        content = entry["content"].rstrip("\n") + "\n"
        files.append(File(entry["path"], content.encode(), int(entry["mode"], 8), entry.get("owner", 0)))
    return files


def differences(site: SiteFiles, changed: list[File], shown: set[str]) -> list[dict[str, str]]:
    """What --diff shows: whole texts of what is no secret."""
    return [
        {
            "before_header": site.absolute(file.path),
            "after_header": site.absolute(file.path),
            "before": (site.read(file.path) or b"").decode("utf-8", "replace"),
            "after": file.content.decode(),
        }
        for file in changed
        if file.path in shown
    ]


def install_boot_unit(module: AnsibleModule) -> bool:
    """Have the site started in order at each start of the engine; whether that is a change."""
    text = module.params["boot_unit"]
    root = SiteFiles("/")
    unit = File(UNIT.lstrip("/"), (text.rstrip("\n") + "\n").encode(), 0o644, 0)
    changed = bool(root.differing([unit])) or not os.path.islink(WANTED_BY_DOCKER)
    if changed and not module.check_mode:
        os.makedirs(os.path.dirname(WANTED_BY_DOCKER), exist_ok=True)
        root.replace(unit)
        if not os.path.islink(WANTED_BY_DOCKER):
            os.symlink(UNIT, WANTED_BY_DOCKER)
        if os.path.isdir("/run/systemd/system"):
            module.run_command(["systemctl", "daemon-reload"], check_rc=True)
    return changed


def perform(module: AnsibleModule) -> dict[str, object]:
    """Install, and say what has changed."""
    site = SiteFiles(module.params["directory"])
    back = module.params["state"] == "previous"
    files = site.previous_files() if back else wanted_files(module)
    result: dict[str, object] = {}
    if back:
        manifest = site.manifest()
        if not manifest:
            raise SiteError("there is nothing to go back to: " + site.absolute("previous") + " does not exist")
        result["went_back_to"] = manifest["applied_at"]
    changed = site.differing(files)
    superfluous = site.superfluous(files)
    result["diff"] = differences(site, changed, {entry["path"] for entry in module.params["files"]})
    result["files"] = [file.path for file in changed] + superfluous
    if result["files"] and not module.check_mode:
        if back:
            site.put(files)
        else:
            site.keep_previous(module.params["change"])
            site.put(files)
    unit_changed = module.params["boot_unit"] is not None and install_boot_unit(module)
    result["changed"] = bool(result["files"]) or unit_changed
    return result


def main() -> None:
    """Run as an Ansible module."""
    plain = {
        "path": {"type": "str", "required": True},
        "content": {"type": "str", "required": True},
        "mode": {"type": "str", "required": True},
    }
    secret = {
        **plain,
        "content": {"type": "str", "required": True, "no_log": True},
        "owner": {"type": "int", "default": 0},
    }
    module = AnsibleModule(
        argument_spec={
            "boot_unit": {"type": "str"},
            "change": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "dict", "default": [], "options": plain},
            # no_log for what is inside; the list as such is none
            "secrets": {"type": "list", "elements": "dict", "default": [], "options": secret, "no_log": False},
            "state": {"type": "str", "choices": ["present", "previous"], "default": "present"},
        },
        supports_check_mode=True,
    )
    try:
        with alone():
            result = perform(module)
    except SiteError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"{error.filename}: {error.strerror}; nothing else was installed, deploy again when it is put right"
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
