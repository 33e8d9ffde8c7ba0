"""Taking secrets out of text, and saying whether two secrets are one without showing either."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote

REMOVED = "[removed]"

_PART = 8  # characters of a secret that nothing else begins or ends with by chance
_KEY = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=(?![A-Za-z0-9+/=])")
_URL_PASSWORD = re.compile(  # up to the last @ of its part of the URL, as those who read URLs have it
    r"(?<=://)(?P<user>[^:/@\s]*):(?P<password>[^@\s]+(?:@[^@/?#\s\"']*)*)@"
)
_HASH = re.compile(r"\*[0-9A-F]{40}(?![0-9A-Fa-f])|(?<= USING ')[^']+(?=')")  # as SHOW GRANTS has them
_GENERATED = re.compile(r"(?<=GENERATED ROOT PASSWORD: )\S+")  # as the official image of MariaDB logs it, once
_SECRET_NAME = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|(?<!BY)PASS$|_PWD$|SECRET|TOKEN|PRIVATE|PRESHARED|CREDENTIAL|API_?KEY"
    r"|^(?!.*PUBLIC).*_KEY$|(?:^|_|MASTER)AUTH$",
    re.IGNORECASE,
)
_SHORTEST = 6  # characters: what is shorter, such as a 1 that allows an empty password, is part of everything
_SEAL_LENGTH = 12
_LINE_ENDS = b"\r\n"
_URL_SAFE = str.maketrans("+/", "-_")


class Redactor:
    """Removes secrets from text: those that are known, and whatever looks like a key and is not a known public one."""

    def __init__(self, secrets: Iterable[str], public: Iterable[str]) -> None:
        self._secrets = sorted({form for secret in secrets if secret for form in _forms(secret)}, key=len, reverse=True)
        self._public = frozenset(public)

    def __call__(self, text: str) -> str:
        """The text without its secrets."""
        clean = _KEY.sub(lambda found: found[0] if found[0] in self._public else REMOVED, without(self._secrets, text))
        return without_unknown(_HASH.sub(REMOVED, clean))

    def variable(self, name: str, value: str) -> str:
        """A variable's value, which its name alone may say is secret; the path of a file never is."""
        return REMOVED if value and is_secret(name) else self(value)


def without_unknown(text: str) -> str:
    """The text without passwords that nobody was told of, where their place says what they are; keys stay."""
    clean = _URL_PASSWORD.sub(lambda found: f"{found['user']}:{REMOVED}@", text)
    return _GENERATED.sub(REMOVED, clean)


def is_secret(name: str) -> bool:
    """Whether what goes by that name is secret; the path of a file never is."""
    return bool(_SECRET_NAME.search(name)) and not name.upper().endswith("_FILE")


def secrets_in(settings: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The secrets among variables or options: by their names, and the passwords of URLs."""
    for name, value in settings:
        found = [value] if is_secret(name) else [each["password"] for each in _URL_PASSWORD.finditer(value)]
        yield from (form for each in found for form in (each, unquote(each)) if len(form) >= _SHORTEST)


@functools.lru_cache(maxsize=256)  # more than one deployment has; those of earlier ones are forgotten
def _forms(secret: str) -> tuple[str, ...]:
    """A secret as it stands in plain text, in URLs and in JSON."""
    escaped = (json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    return (secret, quote(secret, safe=""), quote(secret), *escaped)


def without(secrets: Iterable[str], text: str) -> str:
    """The text with these secrets removed, and nothing else.

    So are their beginnings and ends: a message that is shortened, as pytest's are, shows those of what it leaves out.
    """
    for secret in secrets:
        text = text.replace(secret, REMOVED)
        for part in (secret[:_PART], secret[-_PART:]):
            if len(secret) > _PART and part in text:
                text = _without_parts(secret, text)
    return text


def _without_parts(secret: str, text: str) -> str:
    for length in range(len(secret) - 1, _PART - 1, -1):
        text = text.replace(secret[:length], REMOVED).replace(secret[-length:], REMOVED)
    return text


class Eraser:
    """Takes known secrets out of what was written already, in every spelling, and their beginnings and ends."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = [each for each in sorted(set(secrets), key=len, reverse=True) if len(each) >= _SHORTEST]
        forms = {form for secret in self._secrets for form in (*_forms(secret), *_encoded(secret))}
        self._forms = [form.encode() for form in sorted(forms, key=len, reverse=True) if len(form) >= _SHORTEST]

    def __call__(self, text: str) -> str:
        """The text without the secrets."""
        return self.from_bytes(text.encode(errors="surrogatepass")).decode(errors="surrogatepass")

    def from_bytes(self, content: bytes, *, keep_length: bool = False) -> bytes:
        """The content without the secrets; with `keep_length` each byte of them becomes an asterisk."""
        unbroken = content.translate(None, _LINE_ENDS)
        for form in self._forms:
            if form in content:
                content = content.replace(form, b"*" * len(form) if keep_length else REMOVED.encode())
            if form in unbroken:  # as in base64, whose lines end after 76 characters (RFC 2045)
                content = _broken(form).sub(
                    lambda found: b"*" * len(found[0]) if keep_length else REMOVED.encode(), content
                )
        if keep_length:
            return content
        text = content.decode(errors="surrogateescape")
        return without(self._secrets, text).encode(errors="surrogateescape")


def _broken(form: bytes) -> re.Pattern[bytes]:
    """A form of a secret with ends of lines anywhere in it."""
    return re.compile(b"[\r\n]*".join(re.escape(form[number : number + 1]) for number in range(len(form))))


def _encoded(secret: str) -> Iterator[str]:
    """A secret in hexadecimal and in base64, wherever in a longer text it begins; a key also as what it encodes."""
    raw = [secret.encode()]
    with contextlib.suppress(ValueError):
        if _KEY.fullmatch(secret):
            raw.append(base64.b64decode(secret, validate=True))
    for each in raw:
        yield from (each.hex(), each.hex().upper())
        for offset in range(3):
            # What stands before and after it decides about the characters at both ends.
            encoded = base64.b64encode(bytes(offset) + each).decode().rstrip("=")
            skipped = (0, 2, 3)[offset]
            left_over = (offset + len(each)) % 3
            whole = encoded[skipped : len(encoded) - 1 if left_over else None]
            yield from (whole, whole.translate(_URL_SAFE))


class Sealer:
    """Turns secrets into seals: equal ones for equal secrets, of no use to whoever wants to know the secret.

    The key is made for each snapshot and never kept, so that seals of two snapshots cannot be compared either.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def __call__(self, secret: str) -> str:
        """The seal of a secret, or `(none)`."""
        if secret in ("", "(none)"):
            return "(none)"
        digest = hmac.new(self._key, secret.encode(), hashlib.sha256).hexdigest()
        return f"sealed:{digest[:_SEAL_LENGTH]}"
