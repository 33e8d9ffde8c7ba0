"""Such a deployment, up: its nodes by the parts that they play."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.addresses import SERVICES
from harness.compose import ComposeProject
from harness.credentials import Credentials
from harness.deployment import PROBES, Deployment, Host
from harness.engine import Engine
from harness.foreign.plan import ForeignPlan
from harness.nodes import Gateway, Node
from harness.ownership import Run


class Foreign(Deployment):
    """Such a deployment, up. `service` of its nodes is their own name, `role` the documented one."""

    plan: ForeignPlan

    def __init__(  # noqa: PLR0913 (what a deployment is made of)
        self,
        *,
        engine: Engine,
        plan: ForeignPlan,
        run: Run,
        project: ComposeProject | None,
        compose_name: str,
        containers: Mapping[str, str],
        credentials: Credentials,
    ) -> None:
        self._mapped = plan.mapped
        self._containers = containers
        self._compose_name = compose_name
        host = Host(
            name=plan.name,
            engine=engine,
            services=frozenset({*containers, *SERVICES, *PROBES}),
            project=project,
            prefix="",
            secrets=run.state,
            mounted=run.state,
        )
        super().__init__(engine=engine, plan=plan, run=run, hosts=[host], credentials=credentials)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every node of the deployment itself, those that play no part too."""
        parts = (*self.gateways, self.mariadb, self.redis, self.services, self.celery, self.web)
        known = {node.service for node in parts} | set(PROBES)
        others = [Node(self.engine, each, name) for each, name in self._containers.items() if each not in known]
        return (*(node for node in parts if node.service in self._containers), *others)

    @property
    def project_name(self) -> str:
        """The compose project's name."""
        return self._compose_name

    @property
    def redis_password(self) -> str | None:
        """The password that the applications have for Redis, or None when they have none."""
        return self.credentials.redis_password or None

    def inside(self, side: str) -> Path | None:  # noqa: ARG002 (that of every deployment)
        """None: its applications may dial a name, which a relay beside them resolves as they do."""
        return None

    def node(self, service: str) -> Node:
        """The node that plays a part, or has that name; raises `DeploymentError` where none does."""
        return next((each for each in self.everyone if each.role == service), None) or super().node(service)

    def _node(self, service: str) -> Node:
        return Node(self.engine, *self._named(service), role=service, dialect=self._mapped.dialect(service))

    def _gateway(self, service: str) -> Gateway:
        return Gateway(self.engine, *self._named(service), role=service, dialect=self._mapped.dialect(service))

    def _named(self, role: str) -> tuple[str, str]:
        service = self._mapped.service(role)
        return service, self._containers.get(service, service)
