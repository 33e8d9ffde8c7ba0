"""What the evidence says of one node, typed. Whatever was not seen raises `UnseenError` when it is asked for."""

from __future__ import annotations

from harness.diagnosis.appfacts import AppFacts, Reach
from harness.diagnosis.containerfacts import Listener, NodeFacts, SecretFile
from harness.diagnosis.gatewayfacts import GatewayFacts
from harness.diagnosis.routing import Way

__all__ = ["AppFacts", "GatewayFacts", "Listener", "NodeFacts", "Reach", "SecretFile", "Way"]
