"""The disk of an ordinary Debian server: systemd, SSH, Python, a kernel with WireGuard, MariaDB, and no Docker yet."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from harness import command, places

_PACKAGES = (
    *("systemd-sysv", "linux-image-cloud-amd64", "openssh-server", "python3", "python3-apt", "mariadb-server"),
    *("dbus", "iproute2", "ca-certificates", "curl", "procps"),
)
_NEEDED = ("mmdebstrap", "qemu-system-x86_64", "mkfs.ext4", "ssh")
_BUILD_TIMEOUT = 900.0  # seconds; two minutes where packages come fast
_SIZE = 12 << 30  # bytes, sparse; an engine with the site's images takes 2

# What `install_docker` will ask for, kept where the server's own apt finds it: it reaches no mirror. `--download-only`
# takes just what is not there yet. Then what a server needs to be reached, and MariaDB, which is started by hand.
_CUSTOMISE = r"""
set -eu
root=$1
chroot "$root" apt-get install --yes --no-install-recommends --download-only \
  docker.io docker-cli docker-compose iptables
mkdir "$root/srv/packages"
mv "$root"/var/cache/apt/archives/*.deb "$root/srv/packages/"
cd "$root/srv/packages"
for package in *.deb; do
  dpkg-deb --field "$package"
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' \
    "$package" "$(stat --format %s "$package")" "$(sha256sum "$package" | cut -d ' ' -f 1)"
done > Packages
rm -f "$root"/etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/packages ./' > "$root/etc/apt/sources.list"
cd "$root/etc"
echo '/dev/vda / ext4 rw 0 1' > fstab
: > machine-id
printf '[Match]\nName=eth0\n[Network]\nDHCP=yes\n' > systemd/network/10-host.network
for server in 10 11; do
  printf '[Match]\nMACAddress=52:54:00:00:02:%s\n[Network]\nAddress=192.0.2.%s/24\n' "$server" "$server" \
    > "systemd/network/2$server-underlay.network"
done
printf '[mysqld]\nbind-address = 0.0.0.0\n' > mysql/mariadb.conf.d/99-site.cnf
systemctl --root "$root" enable systemd-networkd
systemctl --root "$root" disable mariadb
install -d -m 700 "$root/root/.ssh"
"""


def make() -> Path:
    """The folder with `disk.img`, `vmlinuz` and `initrd`, which belong together; made once for each recipe.

    Skips the tests where this machine cannot make it, with what it lacks.
    """
    if lacking := [program for program in _NEEDED if shutil.which(program) is None]:
        pytest.skip(f"virtual servers need {', '.join(lacking)}: `make machines` installs what is missing, on Debian")
    if os.geteuid() != 0:
        pytest.skip("only root can write a disk on which files belong to others")
    recipe = hashlib.sha256("\n".join((*_PACKAGES, _CUSTOMISE)).encode()).hexdigest()[:16]
    made = places.ROOT / ".cache" / "machines" / recipe
    if not made.exists():
        _build(made)
    return made


def _build(made: Path) -> None:
    part = made.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    root, hook = part / "root", part / "customise"
    root.mkdir(parents=True)
    hook.write_text(f"#!/bin/sh{_CUSTOMISE}", encoding="utf-8")
    hook.chmod(0o755)
    argv = ["mmdebstrap", "--variant=important", f"--include={','.join(_PACKAGES)}", f"--customize-hook={hook}"]
    command.run([*argv, "trixie", str(root)], timeout=_BUILD_TIMEOUT)
    for name in ("vmlinuz", "initrd.img"):
        (found,) = (root / "boot").glob(f"{name}-*")
        shutil.copyfile(found, part / name.partition(".")[0])
    image = part / "disk.img"
    with image.open("wb") as file:
        file.truncate(_SIZE)
    command.run(["mkfs.ext4", "-q", "-d", str(root), str(image)], timeout=_BUILD_TIMEOUT)
    shutil.rmtree(root)
    part.rename(made)
