"""How a container is told what this project's own containers are told by their documented settings.

Another deployment calls its variables otherwise, or has a file where ours have variables. A dialect says how to read
them: everything above asks for `DATABASE_HOST`, and is answered from whatever the container has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness import wgquick
from harness.errors import HarnessError

Read = Callable[[str], str]
"""Reads a file of a container by its path; raises `HarnessError` where it cannot."""


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
        for name, text in self.settings.items():
            try:
                found[name] = _VARIABLE.sub(lambda variable: environment[variable[1]], text)
            except KeyError:
                continue
        return found

    @property
    def words(self) -> dict[str, str]:
        """Where the container is told what, by the documented names of the settings."""
        found = {}
        if self.configuration is not None:
            found = {setting: f"{line} in {self.configuration}" for setting, line in wgquick.LINES.items()}
        for setting, text in self.settings.items():
            names = [name for name in dict.fromkeys(_VARIABLE.findall(text)) if name != setting]
            if names:
                found[setting] = " and ".join(names)
        return found

    def quick(self, read: Read) -> wgquick.Configuration | None:
        """The `wg0.conf`; None where there is none that can be read."""
        if self.configuration is None:
            return None
        try:
            return wgquick.parse(read(self.configuration), self.configuration, self.others)
        except HarnessError:
            return None


DOCUMENTED = Dialect()
"""That of this project's own containers."""
