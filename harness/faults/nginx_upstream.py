"""nginx passes requests on to where web is not: the public gets nothing, though web is well."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness.budgets import FORWARDING
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.nodes import Node
from harness.probes.public import PublicPage
from harness.waiting import wait_until

_CONFIGURATION = "/etc/nginx/site.conf"
# Into the file that there is, which the container has mounted: another one in its place it would not see.
_WRITE = 'printf %s "$2" >"$1"'


@dataclass(frozen=True, slots=True, kw_only=True)
class NginxUpstream(Fault):
    """One `proxy_pass` of the site's configuration names another place."""

    layouts: ClassVar[tuple[str, ...]] = ("prod",)  # dev has no nginx

    wrong: str
    place: str

    roots = frozenset({"upstream-wrong"})
    seen = "web answers on its own server, and the public is told that it does not"

    @property
    def name(self) -> str:
        """By what is wrong."""
        return f"nginx passes requests on to {self.wrong}"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """What nginx says in its place."""
        return Symptom(probe=PublicPage(), outcomes=(Outcome.WRONG_SERVICE,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Change the file on the server and have nginx read it; the undo writes back what was there."""
        nginx, server = deployment.node("nginx"), Node(deployment.engine, "web", deployment.machine("nginx"))
        mounts = {mount["Destination"]: str(mount["Source"]) for mount in nginx.inspect()["Mounts"]}
        before = server.output("cat", mounts[_CONFIGURATION])
        right = f"{deployment.plan.outward_web}:{deployment.plan.web_listen}"

        def configure(content: str, outcome: Outcome) -> None:
            server.output("sh", "-c", _WRITE, "sh", mounts[_CONFIGURATION], content)
            nginx.container.kill("HUP")
            wait_until(
                "nginx to go by its new configuration",
                lambda: PublicPage().observe(deployment),
                lambda seen: seen.outcome is outcome,
                within=FORWARDING,
            )

        undo.callback(configure, before, Outcome.CONNECTED)
        configure(before.replace(right, self.place), Outcome.WRONG_SERVICE)


CASES: tuple[Fault, ...] = (
    NginxUpstream(wrong="another port", place="10.101.0.10:8001"),
    NginxUpstream(wrong="an address that nobody has", place="10.101.0.99:8000"),
)
