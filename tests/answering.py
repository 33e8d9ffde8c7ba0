"""How a stand-in of an engine answers, in unit tests."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler


def answer(asked: BaseHTTPRequestHandler, body: object, status: int = 200) -> None:
    """Send one answer in JSON; None is an empty one."""
    text = b"" if body is None else json.dumps(body).encode() + b"\n"
    asked.send_response(status)
    asked.send_header("Content-Type", "application/json")
    asked.send_header("Content-Length", str(len(text)))
    asked.end_headers()
    asked.wfile.write(text)
