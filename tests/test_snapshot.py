from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import keys
from harness.credentials import Credentials
from harness.snapshot import REMOVED, NodeEvidence, Redactor, Snapshot, without

CREDENTIALS = Credentials.generate()
PUBLIC = (CREDENTIALS.keys.web.public, CREDENTIALS.keys.services.public)
REDACT = Redactor(CREDENTIALS.secrets(), PUBLIC)


@pytest.mark.parametrize("secret", CREDENTIALS.secrets(), ids=range(6))
def test_a_known_secret_is_removed_wherever_it_stands(secret: str) -> None:
    """Keys and passwords of the deployment vanish from any text, also inside a word, a URL or JSON."""
    for text in (
        secret,
        f"a{secret}b",
        f"redis://:{secret}@redis:6379/0",
        f'{{"key": "{secret}"}}',
        f"X={secret}\n" * 3,
    ):
        redacted = REDACT(text)
        assert secret not in redacted
        assert REMOVED in redacted


def test_the_deployments_public_keys_stay() -> None:
    """What is needed to compare both ends stays readable."""
    text = f"peer: {PUBLIC[0]}\n  endpoint: 172.20.0.2:51820\n{PUBLIC[1]}\t(none)\n"
    assert REDACT(text) == text


@pytest.mark.parametrize(
    "around", ["{}", " {} ", "private key: {}", '"{}"', "'{}',", "({})", "{}\n", "\t{}\t", "key:{}"]
)
def test_an_unknown_key_is_removed(around: str) -> None:
    """What looks like a key and is not a known public one may be a private one: it goes."""
    unknown = keys.generate_private()
    redacted = REDACT(around.format(unknown))
    assert unknown not in redacted
    assert redacted == around.format(REMOVED)


@pytest.mark.parametrize(
    "text",
    [
        "interface: wg0\n  listening port: 51820\n  transfer: 1.2 KiB received, 3.4 KiB sent",
        "-A PREROUTING -i wg0 -p tcp -m tcp --dport 3306 -j DNAT --to-destination 10.101.0.2:3306",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "/var/lib/docker/overlay2/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/merged",
        "",
    ],
)
def test_ordinary_evidence_is_left_alone(text: str) -> None:
    """Addresses, rules, digests and paths are no keys."""
    assert REDACT(text) == text


def test_a_secret_inside_another_is_removed_whole() -> None:
    """Where one secret begins with another, nothing of the longer one stays."""
    assert Redactor(["secret", "secret-and-more"], [])("secret-and-more, secret") == f"{REMOVED}, {REMOVED}"


def test_an_empty_secret_removes_nothing() -> None:
    """A secret that is not set does not turn the evidence into noise."""
    assert Redactor(["", "s3cr3t"], [])("plain text") == "plain text"


@given(st.text(alphabet="ab=+/ \n\t:", max_size=30), st.text(alphabet="ab +/\n\t:", max_size=30))
def test_no_context_protects_a_known_secret(before: str, after: str) -> None:
    """Whatever stands around it, a known private key never comes through."""
    secret = CREDENTIALS.keys.web.private
    assert secret not in REDACT(f"{before}{secret}{after}")


def test_a_snapshot_reads_node_by_node() -> None:
    """For people: when it was taken, then each node's answers under their titles."""
    snapshot = Snapshot(
        nodes=(
            NodeEvidence(node="web", texts={"state": "running\n", "log": "one\ntwo\n"}),
            NodeEvidence(node="redis", texts={"state": "exited"}),
        ),
        taken_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    assert str(snapshot) == (
        "taken at 2026-01-02T03:04:05+00:00\n\n"
        "===== web: state\nrunning\n\n===== web: log\none\ntwo\n\n===== redis: state\nexited\n"
    )


def test_parts_of_a_secret_are_removed_too() -> None:
    """A message that is shortened in the middle of a secret shows neither its beginning nor its end."""
    secret = "cvjwv1F7pbuC-Xy_mJY9bdW67DE5b"
    shown = without([secret], f"assert 'cvjwv1F7pbuC...mJY9bdW67DE5b' == 'x' and {secret} and plain")
    assert shown == f"assert '{REMOVED}...{REMOVED}' == 'x' and {REMOVED} and plain"
