from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import keys
from harness.credentials import Credentials
from harness.redaction import REMOVED, Eraser, Redactor, Sealer, is_secret, secrets_in, without

CREDENTIALS = Credentials.generate()
PUBLIC = (CREDENTIALS.keys.web.public, CREDENTIALS.keys.services.public)
REDACT = Redactor(CREDENTIALS.secrets(), PUBLIC)


@pytest.mark.parametrize("secret", CREDENTIALS.secrets(), ids=range(8))
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


def test_parts_of_a_secret_are_removed_too() -> None:
    """A message that is shortened in the middle of a secret shows neither its beginning nor its end."""
    secret = "cvjwv1F7pbuC-Xy_mJY9bdW67DE5b"
    shown = without([secret], f"assert 'cvjwv1F7pbuC...mJY9bdW67DE5b' == 'x' and {secret} and plain")
    assert shown == f"assert '{REMOVED}...{REMOVED}' == 'x' and {REMOVED} and plain"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=20))
def test_a_secret_is_removed_in_every_spelling(password: str) -> None:
    """Plain, percent-encoded as in a URL, and escaped as in JSON."""
    redact = Redactor([password], [])
    for form in (password, quote(password, safe=""), json.dumps(password)[1:-1]):
        assert form not in redact(f"<{form}>") or form in REMOVED or form in "<>"
        assert REMOVED in redact(f"<{form}>")


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("redis://:s3cr3t-word@redis:6379/0", "s3cr3t-word"),
        ("redis://user:p%40ss%2Fword@redis:6379/0", "p%40ss%2Fword"),
        ("redis://:p@ss-w0rd-x@redis:6379/0", "ss-w0rd-x"),
        ("redis://:p@ss@w0rd-x@redis?db=0", "w0rd-x"),
        ("connected to mysql://app:pa:ss@10.101.0.2/app and gone", "pa:ss"),
        (
            "GRANT USAGE ON *.* TO `app`@`%` IDENTIFIED BY PASSWORD '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'",
            "2470C0C06",
        ),
        ("IDENTIFIED VIA ed25519 USING 'aqoXbRIEz4WjxWfUQ9b1Vg0x7bEqJ3hJ7hU1K5m2n3o'", "aqoXbRIEz4"),
    ],
)
def test_what_can_only_be_a_secret_is_removed_unknown(text: str, secret: str) -> None:
    """A URL's password and a password's hash go wherever they stand, though nobody told of them."""
    shown = Redactor([], [])(text)
    assert secret not in shown
    assert REMOVED in shown


def test_a_urls_password_ends_with_its_part_of_the_url() -> None:
    """What follows the host may hold an @ too, and so may the next value of a JSON document."""
    for rest in ("@host/a@b", "@host?a=b@c", "@host#a@b", "@host a@b", '@host", "mail": "a@b"', '@host","mail":"a@b"'):
        assert Redactor([], [])(f"redis://u:s3cr3t{rest}") == f"redis://u:{REMOVED}{rest}"


def test_a_url_without_a_password_stays() -> None:
    """Host, port and user are evidence."""
    for text in ("redis://10.101.0.4:6379/0", "mysql://app@10.101.0.2:3306/app", "http://127.0.0.1:8000/health/"):
        assert Redactor([], [])(text) == text


@pytest.mark.parametrize(
    "name",
    [
        *(
            "DATABASE_PASSWORD",
            "MYSQL_PWD",
            "REDIS_PASS",
            "DJANGO_SECRET_KEY",
            "API_KEY",
            "GITHUB_TOKEN",
            "db_password",
        ),
        *("WG_PRIVATE_KEY", "WG_PRESHARED_KEY", "AWS_CREDENTIALS", "--requirepass"),
        *("REDISCLI_AUTH", "REDIS_AUTH", "SIGNING_KEY", "ENCRYPTION_KEY", "FERNET_KEY", "DBPASS", "--masterauth"),
    ],
)
def test_a_variable_is_secret_by_its_name(name: str) -> None:
    """Its value is removed, whatever it is, and is a secret to be removed elsewhere too; an empty one is shown."""
    assert is_secret(name)
    assert Redactor([], []).variable(name, "x") == REMOVED
    assert Redactor([], []).variable(name, "") == ""
    assert next(secrets_in([(name, "hunter22")])) == "hunter22"


@pytest.mark.parametrize(
    "name",
    [
        *("DATABASE_PASSWORD_FILE", "WG_PRIVATE_KEY_FILE", "PWD", "DATABASE_HOST", "WG_MTU", "PATH"),
        *("WG_PEER_PUBLIC_KEY", "PUBLIC_SSH_KEY", "SIGNING_KEY_FILE", "PROXY_BYPASS", "AUTHOR"),
    ],
)
def test_other_variables_are_shown(name: str) -> None:
    """The path of a secret file is no secret, and a working directory no password."""
    assert not is_secret(name)
    assert Redactor([], []).variable(name, "/run/secrets/x") == "/run/secrets/x"


def test_what_is_short_is_no_secret_elsewhere() -> None:
    """A flag in a variable named after a password is part of everything, and cannot be removed everywhere."""
    assert list(secrets_in([("MARIADB_ALLOW_EMPTY_ROOT_PASSWORD", "1"), ("RANDOM_PASSWORD", "yes")])) == []


def test_seals_tell_equal_from_other_and_no_more() -> None:
    """Equal secrets have equal seals within a snapshot; in another one they are others, and none shows the secret."""
    one, other = Sealer(), Sealer()
    key, another = keys.generate_private(), keys.generate_private()
    assert one(key) == one(key) != one(another)
    assert one(key) != other(key)
    assert key[:8] not in one(key)
    assert one("") == one("(none)") == "(none)"


KEY = CREDENTIALS.keys.web.private
PASSWORD = "cvjwv1F7pbuC-Xy_mJY9bdW67DE5b"
SPELLINGS = {
    "plain": PASSWORD,
    "in a URL": quote(f"{PASSWORD}/+", safe=""),
    "in base64": base64.b64encode(PASSWORD.encode()).decode(),
    "in base64, after others": base64.b64encode(f"app:{PASSWORD}:x".encode()).decode(),
    "in hexadecimal": PASSWORD.encode().hex(),
    "a key": KEY,
    "a key in hexadecimal, as WireGuard's own socket has it": base64.b64decode(KEY).hex(),
    "a key in base64": base64.b64encode(KEY.encode()).decode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_was_written_is_cleaned_in_every_spelling(spelling: str) -> None:
    """Of each spelling nothing stays of which a third of the secret could be told."""
    shown = SPELLINGS[spelling]
    cleaned = Eraser([KEY, PASSWORD]).from_bytes(f"before {shown} after".encode()).decode()
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")
    longest = max(map(len, cleaned.removeprefix("before ").removesuffix(" after").split(REMOVED)))
    assert longest <= len(shown) // 3, cleaned


def test_a_capture_keeps_its_length() -> None:
    """The lengths in a capture file's headers stay right."""
    content = b"\xd4\xc3\xb2\xa1" + PASSWORD.encode() + b"\xff\x00"
    cleaned = Eraser([PASSWORD]).from_bytes(content, keep_length=True)
    assert len(cleaned) == len(content)
    assert PASSWORD.encode() not in cleaned
    assert cleaned.endswith(b"\xff\x00")


def test_what_is_no_secret_is_left_alone() -> None:
    """Bytes that are no text come through as they are."""
    content = bytes(range(256))
    assert Eraser([KEY, PASSWORD, "", "x"]).from_bytes(content) == content


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("before", range(76))
def test_base64_in_lines_is_removed_wherever_they_end(before: int, end: str) -> None:
    """A secret in a longer text, whose base64 has lines of 76 characters: none of it is left on any of them."""
    wrapped = base64.encodebytes(b"x" * before + PASSWORD.encode() + b"y" * 60).decode().replace("\n", end)
    cleaned = Eraser([PASSWORD])(wrapped)
    assert REMOVED in cleaned
    whole = base64.b64encode(b"x" * (before % 3) + PASSWORD.encode()).decode()
    core = whole[4 : len(PASSWORD) // 3 * 4 - 4]  # what does not depend on what stands around it
    unbroken = cleaned.replace(end, "")
    assert not [start for start in range(len(core) - 8) if core[start : start + 8] in unbroken]
    kept = Eraser([PASSWORD]).from_bytes(wrapped.encode(), keep_length=True)
    assert len(kept) == len(wrapped)
    assert core not in kept.decode().replace(end, "")
