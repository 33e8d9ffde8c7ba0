"""The ways that rules look at: the tunnel from either end, and the paths from applications to backends."""

from __future__ import annotations

from dataclasses import dataclass

from harness.diagnosis import settings
from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.nodefacts import AppFacts, GatewayFacts, NodeFacts, Reach
from harness.model import Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end of the tunnel, and the one that it should meet."""

    gateway: GatewayFacts
    other: GatewayFacts

    @property
    def peer(self) -> Peer | None:
        """What the gateway has for the other end: the peer with its key in use or, where none is seen, the one told."""
        key = self._other_key
        return next((peer for peer in self.gateway.peers if peer.public_key == key), None)

    @property
    def candidates(self) -> tuple[Peer, ...]:
        """The gateway's peers that may be meant for the other end: its own; a single one, whose key may be wrong.

        Where nobody knows the other end's key, each may be.
        """
        peers = self.gateway.peers
        if self.peer is not None:
            return (self.peer,)
        return peers if len(peers) == 1 or self._other_key is None else ()

    @property
    def reachable(self) -> tuple[str, ...]:
        """The other end's addresses on the networks that both are on; on two machines there are none."""
        common = {each.network for each in self.gateway.container.attachments}
        return tuple(
            str(found.ip)
            for each in self.other.container.attachments
            if each.network in common and (found := each.interface)
        )

    @property
    def _other_key(self) -> str | None:
        try:
            if self.other.interface is not None:
                return self.other.interface.public_key
        except UnseenError:
            pass  # the gateway was told a key, too
        told = self.gateway.secret_file(settings.PEER_PUBLIC_KEY_FILE)
        return told.content if told else self.gateway.environment.get("WG_PEER_PUBLIC_KEY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """The way from an application to a backend. `kind` is `database`, `broker` or `forward`.

    `host` and `port` are what the application dials, None where it was told nothing that can be read; `tunnelled`
    says that the way leads through the tunnel. `backend` is who should be at its end, None where nobody knows.
    """

    app: AppFacts
    kind: str
    host: str | None
    port: int
    tunnelled: bool
    backend: NodeFacts | None
    key: str

    @property
    def id(self) -> str:
        """The path's name in findings, such as `web→database`."""
        return f"{self.app.service}→{self.kind if self.kind != 'forward' else self.port}"

    @property
    def reach(self) -> Reach:
        """How far the application came."""
        found = self.app.reaches.get(self.key)
        if found is None:
            raise UnseenError(self.app.service, "backends", f"{self.key} was not tried")
        if found.failed == "probe":  # such as an image without the client library
            raise UnseenError(self.app.service, "backends", f"{self.key} could not be tried: {found.said}")
        return found

    @property
    def works(self) -> bool:
        """Whether the application was seen to have all that it wants of it."""
        try:
            return self.reach.failed is None
        except UnseenError:
            return False
