"""The gateway of a server: its key files and its running interface, compared with the vault."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.site_docker import Docker, SiteError, last_line
from ansible.module_utils.site_files import File, SiteFiles
from ansible.module_utils.wireguard_keys import derive_public, is_key

OTHER = {"web": "services", "services": "web"}
PRESHARED = "secrets/preshared.key"
NO_KEY = "(none)"


class Keys:
    """What one end of the tunnel needs to know; never shown."""

    def __init__(self, side: str, private: str, public: str, peer_public: str, preshared: str) -> None:
        self.side = side
        self.private = private.strip()
        self.public = public.strip()
        self.peer_public = peer_public.strip()
        self.preshared = preshared.strip()

    def files(self) -> list[File]:
        """The key files of this end, as they should be."""
        other = OTHER[self.side]
        texts = (
            ("secrets/" + self.side + "-private.key", self.private, 0o600),
            ("secrets/" + self.side + "-public.key", self.public, 0o644),
            ("secrets/" + other + "-public.key", self.peer_public, 0o644),
            (PRESHARED, self.preshared, 0o600),
        )
        return [File(path, (text + "\n").encode(), mode, 0) for path, text, mode in texts]

    def variable(self, path: str) -> str:
        """The vault's variable for one of the files."""
        name = path.rsplit("/", maxsplit=1)[-1].replace(".key", "").replace("-", "_")
        return "vault_wg_" + name + "_key"


class Interface:
    """wg0 as it runs."""

    def __init__(self, dump: str) -> None:
        lines = [line.split("\t") for line in dump.strip().splitlines()]
        self.private, self.public = lines[0][0], lines[0][1]
        self.peers = {line[0]: line for line in lines[1:]}

    def preshared(self, peer: str) -> str:
        """The key shared with a peer."""
        return self.peers[peer][1]

    def handshake_age(self, peer: str) -> float | None:
        """Seconds since the last handshake with a peer, None without one."""
        latest = int(self.peers[peer][4]) if peer in self.peers else 0
        return time.time() - latest if latest else None


def gateway(side: str) -> str:
    """The name of the container."""
    return "wireguard-" + side


def interface(docker: Docker, side: str) -> Interface | None:
    """The running interface, None where the gateway does not run; SiteError where it has no wg0."""
    container = docker.containers().get(gateway(side))
    if container is None or not container["State"]["Running"]:
        return None
    status, output, errors = docker.run("exec", gateway(side), "wg", "show", "wg0", "dump")
    if status:
        raise SiteError(gateway(side) + " runs and has no wg0: " + last_line(errors) + "; docker logs " + gateway(side))
    return Interface(output)


def file_problems(site: SiteFiles, keys: Keys) -> list[str]:
    """What differs between the key files and the vault, and whether each public key derives from its private one."""
    problems = []
    texts = {}
    for file in keys.files():
        where = site.absolute(file.path)
        content = site.read(file.path)
        texts[file.path] = text = (content or b"").decode("ascii", "replace").strip()
        if content is None:
            problems.append(where + " is missing.")
        elif not is_key(text):
            problems.append(where + " holds no key.")
        elif text != file.content.decode().strip():
            problems.append(where + " is not the vault's " + keys.variable(file.path) + ".")
    private, public = (keys.files()[index].path for index in (0, 1))
    if is_key(texts[private]) and is_key(texts[public]) and derive_public(texts[private]) != texts[public]:
        problems.append(site.absolute(public) + " does not derive from " + site.absolute(private) + ".")
    return problems


def interface_problems(running: Interface, keys: Keys) -> list[str]:
    """What differs between the running interface and the vault."""
    other = OTHER[keys.side]
    where = "wg0 of " + gateway(keys.side)
    problems = []
    if running.public != keys.public:
        problems.append(where + " has another key of its own than vault_wg_" + keys.side + "_public_key.")
    if keys.peer_public not in running.peers:
        problems.append(where + " does not know vault_wg_" + other + "_public_key as its peer.")
    elif running.preshared(keys.peer_public) != keys.preshared:
        has = "no" if running.preshared(keys.peer_public) == NO_KEY else "another"
        problems.append(where + " has " + has + " preshared key with its peer than vault_wg_preshared_key.")
    if set(running.peers) - {keys.peer_public}:
        problems.append(where + " has a peer that the vault does not know.")
    return problems


def keys_of(module: Any) -> Keys:
    """The keys that a module was given."""
    wanted = module.params
    return Keys(
        wanted["side"], wanted["private_key"], wanted["public_key"], wanted["peer_public_key"], wanted["preshared_key"]
    )


ARGUMENTS = {
    "directory": {"type": "path", "required": True},
    "side": {"type": "str", "choices": ["web", "services"], "required": True},
    "private_key": {"type": "str", "required": True, "no_log": True},
    "public_key": {"type": "str", "required": True, "no_log": False},
    "peer_public_key": {"type": "str", "required": True, "no_log": False},
    "preshared_key": {"type": "str", "required": True, "no_log": True},
}
