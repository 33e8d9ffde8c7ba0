"""/metrics for Prometheus, /healthy for the health check."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from exporter.catalogue import CATALOGUE
from exporter.sampling import Sampler

FAMILIES = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}
WAIT_FOR_CLIENT = 5.0  # seconds; one that does not ask or does not read is hung up on


class GatewayCollector(Collector):
    """Looks at the gateway whenever metrics are wanted."""

    def __init__(self, sampler: Sampler) -> None:
        """Keep what looks."""
        self._sampler = sampler
        self._one_at_a_time = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        """Every metric without values, so that none is looked for when the collector is registered."""
        return [FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels) for metric in CATALOGUE]

    def collect(self) -> Iterable[Metric]:
        """Every metric with the values of this moment."""
        families = {family.name: family for family in self.describe()}
        with self._one_at_a_time:
            samples = self._sampler.samples()
        for sample in samples:
            # The client library takes `_total` off a counter's name, and puts it back when it writes.
            family = families[sample.name.removesuffix("_total")]
            family.add_metric(sample.labels, sample.value)  # type: ignore[attr-defined]
        return families.values()


def registry(sampler: Sampler) -> CollectorRegistry:
    """All that is exported: the gateway's metrics, and what the exporter itself costs."""
    held = CollectorRegistry()
    held.register(GatewayCollector(sampler))
    ProcessCollector(registry=held)
    PlatformCollector(registry=held)
    GCCollector(registry=held)
    return held


class Server(ThreadingHTTPServer):
    """Answers each client in a thread; raises OSError when the port is taken."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, held: CollectorRegistry) -> None:
        """Listen, on all addresses: the gateway's own rules keep the tunnel's far end out."""
        self.held = held
        super().__init__(("0.0.0.0", port), Handler)  # noqa: S104 - Prometheus is on another address than this

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hung up is no event."""


class Handler(BaseHTTPRequestHandler):
    """One client."""

    server: Server
    timeout = WAIT_FOR_CLIENT
    server_version = "exporter"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    pages: ClassVar[dict[str, str]] = {"/metrics": "metrics", "/healthy": "healthy"}

    def do_GET(self) -> None:
        """Answer a GET."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, content_type, encode(self.server.held))
        elif path == "/healthy":
            self._answer(200, "text/plain; charset=utf-8", b"listening\n")
        else:
            self._answer(404, "text/plain; charset=utf-8", b"the metrics are at /metrics\n")

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: a line for every scrape would tell nothing."""

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
