"""`ansible_collections.py WHEEL`: unpack from the `ansible` package the collections that the playbooks are run with.

All of the package would be 600 MB in 50,000 files, most of it for devices that nobody here has.
"""

import sys
import sysconfig
import zipfile

WANTED = (
    "ansible_collections/community/docker/",
    "ansible_collections/community/library_inventory_filtering_v1/",  # community.docker needs it
)


def main(wheel: str) -> str | None:
    """Unpack into this interpreter's own site-packages; the text of what is wrong, if anything is."""
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.startswith(WANTED)]
        missing = [wanted for wanted in WANTED if not any(name.startswith(wanted) for name in members)]
        if missing:
            return f"{wheel} has no {', '.join(missing)}: resolve ansible/requirements-collections.in anew (make lock)"
        archive.extractall(sysconfig.get_path("purelib"), members)
    return None


sys.exit(main(*sys.argv[1:]))
