"""Certificates that the strictest believe: Python from 3.13 on does by itself what is asked for here."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from harness.certificates import Authority


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """Speak TLS in memory until both ends are content; returns the client's end."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    open_ends = [ours, theirs]
    while open_ends:
        for end in tuple(open_ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            open_ends.remove(end)
    return ours


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_what_an_authority_issues_is_believed_by_the_strictest(name: str, tmp_path: Path) -> None:
    """By whoever trusts that authority, either end's, with every check of RFC 5280 that OpenSSL knows."""
    authority = Authority()
    issued = authority.issue("localhost", "127.0.0.1")
    pair = tmp_path / "pair.pem"
    pair.write_text(issued.certificate + issued.key, encoding="ascii")
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.verify_mode = ssl.CERT_REQUIRED
    for context in (server, client):
        context.load_cert_chain(pair)
        context.load_verify_locations(cadata=authority.certificate)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    assert handshake(server, client, name).getpeercert()


def test_nobody_else_is_believed(tmp_path: Path) -> None:
    """Another authority of the same name vouches for nothing here."""
    issued = Authority().issue("localhost")
    pair = tmp_path / "pair.pem"
    pair.write_text(issued.certificate + issued.key, encoding="ascii")
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(pair)
    client.load_verify_locations(cadata=Authority().certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, client, "localhost")
