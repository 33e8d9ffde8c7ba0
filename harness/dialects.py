"""How a container is told what this project's own containers are told by their documented settings.

Another deployment calls its variables otherwise, or has a file where ours have variables. A dialect says how to read
them: everything above asks for `DATABASE_HOST`, and is answered from whatever the container has.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from harness import wgquick
from harness.errors import HarnessError
from harness.vocabulary import DATABASE_URL, URL_PARTS

Read = Callable[[str], str]
"""Reads a file of a container by its path; raises `HarnessError` where it cannot."""


_OF_MARIADB = {"mariadb", "mysql", "mysql2"}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How to read one container.

    `settings` gives a documented setting by a text in which `${NAME}` stands for a variable of the container; where
    the container has no such variable, it was not told the setting. `configuration` is the path of its `wg0.conf`,
    None where it has none; `others` are the gateways that are looked at besides, of whom one is its peer.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    configuration: str | None = None
    others: tuple[wgquick.End, ...] = ()

    def translate(self, environment: Mapping[str, str], read: Read) -> dict[str, str]:
        """The container's variables, those that `settings` names replaced by what they amount to.

        A configuration adds the settings that its lines amount to. One that cannot be read tells nothing.
        """
        used = {name for text in self.settings.values() for name in _VARIABLE.findall(text)}
        found = {name: value for name, value in environment.items() if name not in used}
        if (told := self.quick(read)) is not None:
            found |= told.settings
        found |= self._amounts(environment)
        return parts_of_url(found.get(DATABASE_URL, "")) | found

    def _amounts(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What the settings amount to of which the container has all variables."""
        found = {}
        for name, text in self.settings.items():
            with contextlib.suppress(KeyError):
                found[name] = _VARIABLE.sub(lambda variable: environment[variable[1]], text)
        return found

    def words(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Where a container with these variables is told what, by the documented names of the settings."""
        found = {}
        if self.configuration is not None:
            found = {setting: f"{line} in {self.configuration}" for setting, line in wgquick.LINES.items()}
        for setting, text in self.settings.items():
            names = [name for name in dict.fromkeys(_VARIABLE.findall(text)) if name != setting]
            if names:
                found[setting] = " and ".join(names)
        told = {**environment, **self._amounts(environment)}
        for setting in parts_of_url(told.get(DATABASE_URL, "")):
            if setting not in told:
                found[setting] = f"a part of {found.get(DATABASE_URL, DATABASE_URL)}"
        return found

    def quick(self, read: Read) -> wgquick.Configuration | None:
        """The `wg0.conf`; None where there is none that can be read."""
        if self.configuration is None:
            return None
        try:
            return wgquick.parse(read(self.configuration), self.configuration, self.others)
        except HarnessError:
            return None


def parts_of_url(url: str) -> dict[str, str]:
    """What a database's URL says, by the documented settings (`mysql://USER:PASSWORD@HOST:PORT/NAME`, RFC 3986).

    Nothing where it is none of MariaDB's or MySQL's, whichever driver it names (`mysql+pymysql://`), or no URL at all.
    A port is given as it is written there.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return {}
    if parts.scheme.partition("+")[0] not in _OF_MARIADB:
        return {}
    port = parts.netloc.rpartition("@")[2].rpartition("]")[2].partition(":")[2]
    said = dict(
        zip(URL_PARTS, (parts.hostname, port, parts.path.strip("/"), parts.username, parts.password), strict=True)
    )
    return {setting: unquote(value) for setting, value in said.items() if value}


DOCUMENTED = Dialect()
"""That of this project's own containers."""
