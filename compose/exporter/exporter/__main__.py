"""`python -m exporter`: check the settings, then serve until told to stop."""

from __future__ import annotations

import os
import signal
import sys

from exporter.log import Log
from exporter.sampling import Sampler
from exporter.serving import Server, registry
from exporter.settings import SettingError, load

MISCONFIGURED = 78  # sysexits.h


def main() -> int:
    """Serve; returns the exit status."""
    as_json = os.environ.get("LOG_FORMAT", "").strip() == "json"
    log = Log(as_json=as_json)
    signal.signal(signal.SIGTERM, _stop)
    try:
        settings = load(os.environ)
    except SettingError as error:
        log.fatal(str(error))
        return MISCONFIGURED
    sampler = Sampler(probes=settings.probes, probe_timeout=settings.probe_timeout, log=log)
    try:
        server = Server(settings.port, registry(sampler))
    except OSError as error:
        why = f"port {settings.port} cannot be listened on ({error.strerror}): set EXPORTER_PORT to one that is free"
        log.fatal(why)
        return 1
    probes = " ".join(f"{target.address}:{target.port}" for target in settings.probes)
    began = f"metrics on port {settings.port}; {f'probing {probes}' if probes else 'nothing to probe'}"
    log.info(began)
    with server:
        server.serve_forever()
    return 0


def _stop(_signal: int, _frame: object) -> None:
    sys.exit(0)


sys.exit(main())
