"""Taking secrets out of text, and saying whether two secrets are one without showing either."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable

REMOVED = "[removed]"

_PART = 8  # characters of a secret that nothing else begins or ends with by chance
_KEY = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=(?![A-Za-z0-9+/=])")
_URL_PASSWORD = re.compile(r"(?<=://)(?P<user>[^:/@\s]*):(?P<password>[^@\s]+)@")
_SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE|PRESHARED|API_?KEY)", re.IGNORECASE)
_SEAL_LENGTH = 12


class Redactor:
    """Removes secrets from text: those that are known, and whatever looks like a key and is not a known public one."""

    def __init__(self, secrets: Iterable[str], public: Iterable[str]) -> None:
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._public = frozenset(public)

    def __call__(self, text: str) -> str:
        """The text without its secrets."""
        clean = _KEY.sub(lambda found: found[0] if found[0] in self._public else REMOVED, without(self._secrets, text))
        return _URL_PASSWORD.sub(lambda found: f"{found['user']}:{REMOVED}@", clean)

    def variable(self, name: str, value: str) -> str:
        """A variable's value, which its name alone may say is secret; the path of a file never is."""
        if value and _SECRET_NAME.search(name) and not name.endswith("_FILE"):
            return REMOVED
        return self(value)


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
